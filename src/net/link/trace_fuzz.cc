// Trace::parse: what is accepted is in order, has a period, and answers for any time.
#include <string_view>

#include "net/link/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh;
  using namespace wh::net;
  const auto trace = Trace::parse({reinterpret_cast<const char*>(data), size});
  if (!trace) {
    CHECK(!trace.error().text.empty());
    return 0;
  }
  CHECK(trace->size() > 0 && trace->period() > 0ns);
  CHECK(!trace->mean_rate().is_zero() || trace->period() > 1s);
  for (size_t i = 1; i < trace->size(); ++i) CHECK(trace->at(i - 1) <= trace->at(i));
  for (const Duration at : {0ns, trace->period() / 2, trace->period()}) {
    const size_t next = trace->first_after(at);
    CHECK(next == trace->size() || trace->at(next) > at);
    CHECK(next == 0 || trace->at(next - 1) <= at);
  }
  CHECK(trace->count_until(trace->period()) >= trace->size());
  return 0;
}
