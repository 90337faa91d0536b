// Workers: books added up.
#include "vnet/workers.h"

#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

TEST(Workers, add_their_books_up) {
  const std::vector<graph::ErrorReport> errors{
      {{{.count = 2, .node = "n", .name = "x", .reason = "x"}}},
      {{{.count = 3, .node = "n", .name = "x", .reason = "x"},
        {.count = 1, .node = "m", .name = "y", .reason = "y"}}}};
  const auto total = sum(errors);
  ASSERT_EQ(total.rows.size(), 2u);
  EXPECT_EQ(total.rows[0].count, 5u);
  std::vector<InterfaceRow> one{{"eth0", 1, true, 1500, {{"rx packets", 4}}}};
  const std::vector<std::vector<InterfaceRow>> both{one, one};
  EXPECT_EQ(sum(both)[0].counters[0].second, 8u);
}

}  // namespace
}  // namespace wh::vnet
