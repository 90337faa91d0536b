#include "lab/series.h"

#include <fmt/format.h>

namespace wh::lab {

void Series::append(Series other) {
  if (other.seconds.size() > seconds.size()) seconds = other.seconds;
  auto move_to = [](std::vector<Track>& to, std::vector<Track>& from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
  };
  move_to(flows, other.flows);
  move_to(links, other.links);
  // A run that ended early has nothing to say of the time after it.
  for (std::vector<Track>* tracks : {&flows, &links}) {
    for (Track& track : *tracks) {
      for (Channel& channel : track.channels) channel.values.resize(seconds.size(), kNone);
    }
  }
}

std::string to_csv(const Series& series) {
  std::string out = "time_s";
  auto each = [&](auto fn) {
    for (const auto* tracks : {&series.flows, &series.links}) {
      for (const Track& track : *tracks) {
        for (const Channel& channel : track.channels) fn(track, channel);
      }
    }
  };
  each([&](const Track& track, const Channel& channel) {
    out += fmt::format(",{}: {}", track.name, channel.name);
  });
  out += '\n';
  for (size_t i = 0; i < series.seconds.size(); ++i) {
    out += fmt::format("{}", std::round(series.seconds[i] * 1e6) / 1e6);
    each([&](const Track&, const Channel& channel) {
      const double v = channel.values[i];
      out += std::isnan(v) ? "," : fmt::format(",{:.6g}", v);
    });
    out += '\n';
  }
  return out;
}

}  // namespace wh::lab
