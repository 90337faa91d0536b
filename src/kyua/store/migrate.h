// Old results files, and results files put together or compared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kyua/store/reader.h"
#include "kyua/store/writer.h"

namespace wh::kyua {

// Brings a file of schema 1 or 2 to 3. It is kept as FILE.vN.backup; going to 3 makes one file for
// each run that the old store held, named as `kyua test` would have, and removes the old file.
// Yields the new files. Errors: it has the present schema already; it is no results file; what
// SQLite refused, and then nothing changed.
Result<std::vector<std::string>> migrate(const std::string& path, const std::string& store_folder);

// Writes the cases of several files into a new one: shards of one suite, say. Errors: two of them
// hold the same case, or are the same; then none is made.
Result<size_t> merge(const std::vector<std::string>& inputs, const std::string& output);

// What differs between two runs, as lines for a person. `is_worse`: something that was good is bad.
struct Difference {
  std::vector<std::string> lines;
  bool is_worse = false;
};
Result<Difference> compare(const std::string& before, const std::string& after);

}  // namespace wh::kyua
