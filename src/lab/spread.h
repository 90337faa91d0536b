// What repetitions of one run say together: means of every figure, and how sure they are. The
// figures that are shown, written and compared, each with its place in a report's document.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace wh::lab {

struct FlowReport;
struct LinkReport;
struct Report;

// A mean over repetitions, and half the width of its 95 % confidence interval (Student's t).
struct Estimate {
  double mean = 0, ci95 = 0;
};
// REQUIRES: at least one value. Of one alone the interval is NaN: nothing is known.
Estimate estimate(const std::vector<double>& values);

// One figure of a flow or of a link.
template <class Of>
struct Figure {
  const char* key;   // In `repeat` of a document: "goodput_mbps".
  const char* name;  // For a person: "goodput Mbps".
  const char* path;  // Where the document of one run has it; null: made of several.
  double scale;      // From there to here.
  int digits;        // That a person wants to see.
  std::optional<double> (*of)(const Of&);  // Nothing: it has no such figure.
};
// In the order in which they are shown.
std::span<const Figure<FlowReport>> flow_figures();
std::span<const Figure<LinkReport>> link_figures();

// A flow or a link over repetitions. RunFigures that not every repetition had are absent.
struct SpreadRow {
  std::string name;
  std::map<std::string, Estimate, std::less<>> figures;  // By key.
};
struct Spread {
  size_t runs = 0;
  std::vector<SpreadRow> flows, links;  // As in each report.
};
// What is kept of a repetition to make a spread of: a thousandth of its report. Each flow's figures
// in order, then each link's; NaN where there is none.
struct RunFigures {
  std::vector<double> flows, links;
};
RunFigures run_figures(const Report& report);
// REQUIRES: one at least, all of one lab; `report` is of any of them.
Spread spread_of(const Report& report, const std::vector<RunFigures>& repetitions);

// For a terminal; begins with an empty line.
std::string to_table(const Spread& spread);

}  // namespace wh::lab
