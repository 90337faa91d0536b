// A Node program at a device: calls that block, on threads of Node's pool, side by side.
const { promises: fs } = require('fs');

(async () => {
  const [reader, writer] = await Promise.all([fs.open(process.argv[2], 'r+'), fs.open(process.argv[2], 'r+')]);
  const reading = reader.read(Buffer.alloc(64), 0, 64, null);
  await new Promise((done) => setTimeout(done, 200));
  await writer.write('written\n');
  const { bytesRead, buffer } = await reading;
  console.log('woken: read', JSON.stringify(buffer.toString('utf8', 0, bytesRead)));
  await Promise.all([reader.close(), writer.close()]);
})();
