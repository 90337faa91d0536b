#include "lab/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "host/system.h"
#include "lab/sweep_store.h"

namespace wh::lab {
namespace {

const std::string kTail =
    "[[link]]\nfrom='a'\nto='b'\nrate='${rate}'\ndelay='5ms'\nbuffer='50ms'\n"
    "[[flow]]\nfrom='a'\nto='b'\npreset='${cc}'\ncount='${n}'\n";
const std::string kText =
    "duration='500ms'\n[sweep]\nrate=['5Mbps','10Mbps']\ncc=['newreno','cubic,start=10ms']\n"
    "n={from=1,to=3}\nrepeat=2\n" +
    kTail;

std::string temporary(const char* name) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("wh-sweep-{}", name);
  std::filesystem::remove(path);
  return path;
}

TEST(Sweep, points_are_all_combinations_the_last_parameter_fastest) {
  const Sweep sweep = Sweep::parse(kText, "x.toml").value();
  EXPECT_EQ(sweep.points(), 2u * 2 * 3 * 2);
  EXPECT_EQ(sweep.values(0), (std::vector<std::string>{"5Mbps", "newreno", "1"}));
  EXPECT_EQ(sweep.values(2), (std::vector<std::string>{"5Mbps", "newreno", "2"}));
  EXPECT_EQ(sweep.values(23), (std::vector<std::string>{"10Mbps", "cubic,start=10ms", "3"}));
  const LabSpec spec = sweep.lab(23).value();
  EXPECT_EQ(spec.links[0].config.forward.rate, 10_Mbps);
  EXPECT_EQ(spec.flows[0].cc, "cubic");
  EXPECT_EQ(spec.flows[0].start, 10ms);
  EXPECT_EQ(spec.flows[0].count, 3u);
  EXPECT_EQ(spec.seed, 2u);  // The second repetition of a seed of 1.
  EXPECT_GT(spec.start_jitter, 0s);
}

TEST(Sweep, ranges_count_in_the_numbers_that_people_write) {
  const auto values = [](const std::string& range) {
    const Sweep sweep =
        Sweep::parse("[sweep]\nn=" + range + "\n[[link]]\nfrom='a'\nto='b'\n" +
                         "delay='${n}s'\n[[flow]]\nfrom='a'\nto='b'\ncc='newreno'\n",
                     "x.toml")
            .value();
    return sweep.parameters()[0].values;
  };
  EXPECT_EQ(values("{from=0.1,to=0.4,step=0.1}"),
            (std::vector<std::string>{"0.1", "0.2", "0.3", "0.4"}));
  EXPECT_EQ(values("{from=1,to=9,step=4}"), (std::vector<std::string>{"1", "5", "9"}));
}

TEST(Sweep, errors_say_what_and_where) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"duration = 1", "there is no [sweep] table"},
      {"[sweep", "x.toml:1: "},
      {"[sweep]\nspeed=['1Mbps']\n" + kTail,
       "x.toml:2: sweep: speed: nothing in the lab says ${speed}"},
      {"[sweep]\nrate=[]\n" + kTail, "not a list of values"},
      {"[sweep]\nrate=[true]\n" + kTail, "a value is a text or a number"},
      {"[sweep]\nrate=['1Mbps','1Mbps']\n" + kTail, "stands there twice"},
      {"[sweep]\nrate={from=3,to=1}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=0,to=1,step=0}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=nan,to=1}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=1,to=nan}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=1,to=3,step='2'}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=1,to=1.0000000000001,step=1e-14}\n" + kTail, "stands there twice"},
      {"[sweep]\nrate={from=inf,to=inf}\n" + kTail, "not a range"},
      {"[sweep]\nrate={from=1,to=inf}\n" + kTail, "more than 100000 values"},
      {"[sweep]\n" + kTail, "names no parameter of the sweep; accepted: none, as it has none"},
      {"[sweep]\nrate={from=0,to=1e9}\n" + kTail, "more than 100000 values"},
      {"[sweep]\nrepeat=0\n" + kTail, "a whole number from 1"},
      {"[sweep]\nrate=['1Mbps']\ncc=['cubic']\n" + kTail, "'${n}' names no parameter of the sweep"},
      {"[sweep]\nrate=['1Mbps','fast']\ncc=['cubic']\nn=[1]\n" + kTail, "(with fast, cubic, 1)"},
      {"[sweep]\ncc=['cubic']\nrate=['1Mbps']\nCC=['cubic']\nn=[1]\n" + kTail,
       "x.toml:4: sweep: CC: differs from 'cc' by capitals only"},
      {"[sweep]\nt=['steps:1Mbps:2Mbps:1s','no/such/file']\n[[link]]\nfrom='a'\nto='b'\n"
       "trace='${t}'\n[[flow]]\nfrom='a'\nto='b'\ncc='cubic'\n",
       "no/such/file: No such file or directory (with no/such/file)"},
      {"[sweep]\nrate=['1Mbps']\ncc=['cubic']\nn={from=1,to=99999}\nrepeat=99\n" + kTail,
       "one sweep takes at most"},
  };
  for (const auto& c : cases) {
    const auto sweep = Sweep::parse(c.text, "x.toml");
    ASSERT_FALSE(sweep.has_value()) << c.text;
    EXPECT_NE(sweep.error().text.find(c.says), std::string::npos) << sweep.error().text;
  }
}

TEST(SweepStore, keeps_points_whole_and_goes_on_where_it_was) {
  const Sweep sweep = Sweep::parse(kText, "x.toml").value();
  const std::string path = temporary("resume.db"), other = temporary("once.db");
  const std::atomic<bool> stop{false};
  auto run_some = [&](const std::string& db, size_t most) {
    SweepStore store = SweepStore::open(db, sweep).value();
    size_t ran = 0;
    for (size_t i = 0; i < sweep.points() && ran < most; ++i) {
      if (store.finished().contains(i)) continue;
      EXPECT_TRUE(store.add(i, sweep.run(i, stop).value()).has_value());
      ++ran;
    }
    return ran;
  };
  EXPECT_EQ(run_some(path, 5), 5u);
  EXPECT_EQ(run_some(path, 7), 7u);
  EXPECT_EQ(run_some(path, 1000), 12u);
  EXPECT_EQ(run_some(path, 1000), 0u);
  EXPECT_EQ(run_some(other, 1000), 24u);
  // Interrupted or not: the same results.
  SweepStore resumed = SweepStore::open(path, sweep).value();
  SweepStore once = SweepStore::open(other, sweep).value();
  const std::string csv = resumed.csv().value();
  EXPECT_EQ(csv, once.csv().value());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 8 * (1 + 2 + 3));
  EXPECT_TRUE(csv.starts_with("point,repetition,seed,rate,cc,n,flow,cc,profile,goodput_bps"));
  // What was counted is printed as it was counted: no row has a fraction or an exponent in it.
  const auto first = csv.substr(csv.find('\n') + 1);
  EXPECT_TRUE(std::regex_search(first, std::regex("^0,0,1,5Mbps,newreno,1,newreno,newreno,unpaced,"
                                                  "[0-9]+,[0-9]+,[0-9]+,[0-9]+,")))
      << first.substr(0, 200);
  const auto json = nlohmann::json::parse(resumed.json().value());
  EXPECT_TRUE(json["rows"][0]["delivered_bytes"].is_number_integer());
  EXPECT_EQ(json["finished"], 24);
  EXPECT_EQ(json["rows"].size(), 48u);
  EXPECT_GT(json["rows"][0]["goodput_bps"].get<double>(), 1e6);
  EXPECT_NE(resumed.table(40).value().find("10Mbps"), std::string::npos);

  { const SweepStore closed = std::move(resumed); }  // One at a time has it.
  const Sweep changed = Sweep::parse(kText + "\n# another\n", "x.toml").value();
  const auto refused = SweepStore::open(path, changed);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text.find("another sweep"), std::string::npos);
  std::filesystem::remove(path);
  std::filesystem::remove(other);
}

TEST(SweepStore, keeps_the_largest_seed_to_its_last_digit) {
  const Sweep sweep = Sweep::parse(
                          "seed='18446744073709551615'\nduration='10ms'\n[sweep]\n"
                          "rate=['5Mbps']\ncc=['cubic']\nn=[1]\n" +
                              kTail,
                          "x.toml")
                          .value();
  SweepStore store = SweepStore::open(temporary("seed.db"), sweep).value();
  const std::atomic<bool> stop{false};
  ASSERT_TRUE(store.add(0, sweep.run(0, stop).value()).has_value());
  EXPECT_NE(store.csv().value().find("\n0,0,18446744073709551615,5Mbps"), std::string::npos);
}

TEST(SweepStore, is_for_one_at_a_time) {
  const Sweep sweep = Sweep::parse(kText, "x.toml").value();
  const std::string path = temporary("lock.db");
  {
    const SweepStore first = SweepStore::open(path, sweep).value();
    const auto second = SweepStore::open(path, sweep);
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().text.find("another wh sweep is at work"), std::string::npos)
        << second.error().text;
  }
  EXPECT_TRUE(SweepStore::open(path, sweep).has_value());
  std::filesystem::remove(path);
}

TEST(SweepStore, what_is_no_database_is_named) {
  const Sweep sweep = Sweep::parse(kText, "x.toml").value();
  const std::string path = temporary("text.db");
  ASSERT_TRUE(host::write_file(path, std::string(5000, 'x')).has_value());
  for (const std::string& bad : {path, std::string("/no/such/folder/x.db")}) {
    const auto store = SweepStore::open(bad, sweep);
    ASSERT_FALSE(store.has_value()) << bad;
    EXPECT_TRUE(store.error().text.starts_with(bad + ": it cannot hold the results: "))
        << store.error().text;
  }
  std::filesystem::remove(path);
}

TEST(SweepStore, a_point_that_is_stopped_leaves_nothing) {
  const Sweep sweep = Sweep::parse(kText, "x.toml").value();
  const std::atomic<bool> stop{true};
  const auto result = sweep.run(0, stop);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, std::errc::operation_canceled);
}

}  // namespace
}  // namespace wh::lab
