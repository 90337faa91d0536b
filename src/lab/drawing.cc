#include "lab/drawing.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "kyua/report/report.h"

namespace wh::lab {
namespace {

std::string addresses(const std::vector<net::Prefix>& all) {
  std::vector<std::string> texts;
  for (const net::Prefix& p : all) texts.push_back(net::to_string(p));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string end_text(const CableEnd& end) {
  const std::string at = addresses(end.addresses);
  return at.empty() ? end.interface : end.interface + " " + at;
}

std::string cable_text(const CableSpec& link) {
  return link.config.empty() ? link.name : fmt::format("{} ({})", link.name, link.config);
}

struct Point {
  double x = 0, y = 0;
};
constexpr double kWidth = 960, kHeight = 600, kBoxWidth = 150, kBoxHeight = 56;
// Of a line of small text: its height, and about the width of a character.
constexpr double kLine = 14, kGlyph = 6.6;
using Lines = std::vector<std::string>;

Point place_of(const Topology& topology, std::string_view host) {
  const size_t count = topology.hosts.size();
  const auto index = static_cast<size_t>(topology.host(host) - topology.hosts.data());
  // Two hosts stand side by side; more, on an ellipse, so that no link passes behind a third.
  if (count <= 2) {
    return {kWidth * (static_cast<double>(index) + 0.5) / static_cast<double>(count), kHeight / 2};
  }
  const double angle =
      2 * std::numbers::pi * static_cast<double>(index) / static_cast<double>(count) -
      std::numbers::pi / 2;
  return {kWidth / 2 + std::cos(angle) * (kWidth / 2 - kBoxWidth),
          kHeight / 2 + std::sin(angle) * (kHeight / 2 - 2 * kBoxHeight)};
}

// Lines of text around a point.
std::string label(Point at, const Lines& lines, std::string_view kind) {
  std::string svg = fmt::format("<text class=\"{}\">", kind);
  double y = at.y - kLine * static_cast<double>(lines.size() - 1) / 2 + kLine / 3;
  for (const std::string& line : lines) {
    svg += fmt::format("<tspan x=\"{:.0f}\" y=\"{:.0f}\">{}</tspan>", at.x, y,
                       kyua::escape_markup(line));
    y += kLine;
  }
  return svg + "</text>\n";
}

Point between(Point a, Point b, double share) {
  return {a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share};
}

// On the line from a host to a point: the first place where a text is clear of the host's box.
Point beside(Point host, Point towards, const Lines& lines) {
  size_t longest = 0;
  for (const std::string& line : lines) longest = std::max(longest, line.size());
  constexpr double kGap = 6;
  const double length = std::hypot(towards.x - host.x, towards.y - host.y);
  const double across = kBoxWidth / 2 + kGap + kGlyph * static_cast<double>(longest) / 2;
  const double down = kBoxHeight / 2 + kGap + kLine * static_cast<double>(lines.size()) / 2;
  const double steps_across = across * length / std::max(std::abs(towards.x - host.x), 0.01);
  const double steps_down = down * length / std::max(std::abs(towards.y - host.y), 0.01);
  return between(host, towards, std::min(steps_across, steps_down) / length);
}

Lines end_lines(const CableEnd& end) {
  Lines lines = {end.interface};
  for (const net::Prefix& p : end.addresses) lines.push_back(net::to_string(p));
  return lines;
}

// A link's name, and what it does to packets, a few words a line.
Lines link_lines(const CableSpec& link) {
  constexpr size_t kLongest = 22;
  Lines lines = {link.name, ""};
  for (size_t at = 0; at < link.config.size();) {
    const size_t comma = std::min(link.config.find(',', at), link.config.size());
    const std::string word = link.config.substr(at, comma - at);
    at = comma + 1;
    if (!lines.back().empty() && lines.back().size() + word.size() > kLongest) lines.push_back("");
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

// A link as a curve: links between the same two hosts bend away from each other.
struct Curve {
  Point from, control, to;
};

Curve curve_of(const Topology& topology, const CableSpec& link, int nth) {
  const Point from = place_of(topology, link.from.host), to = place_of(topology, link.to.host);
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  // To which side is not a matter of which of the two it is from.
  const int side = (nth % 2 == 0) == (link.from.host < link.to.host) ? 1 : -1;
  const double bend = side * ((nth + 1) / 2) * 90.0;
  const Point middle = between(from, to, 0.5);
  return {from,
          {middle.x - (to.y - from.y) / length * bend, middle.y + (to.x - from.x) / length * bend},
          to};
}

std::string draw_texts(const CableSpec& link, const Curve& c) {
  const Lines from = end_lines(link.from), to = end_lines(link.to);
  const Point middle = between(between(c.from, c.to, 0.5), c.control, 0.5);
  return label(middle, link_lines(link), "link") +
         label(beside(c.from, c.control, from), from, "end") +
         label(beside(c.to, c.control, to), to, "end");
}

}  // namespace

std::string to_text(const Topology& t) {
  std::string text = fmt::format("lab {}: {} hosts, {} links; {} time\n", t.name, t.hosts.size(),
                                 t.links.size(), t.is_real() ? "real" : "virtual");
  for (const PlaceSpec& host : t.hosts) {
    text += fmt::format("\n{} ({}{})\n", host.name, name_of(host.kind),
                        host.forwards && host.kind != PlaceKind::Router ? ", forwards" : "");
    for (const CableSpec& link : t.links) {
      const bool is_from = link.from.host == host.name;
      if (!is_from && link.to.host != host.name) continue;
      const CableEnd &near = is_from ? link.from : link.to, &far = is_from ? link.to : link.from;
      text += fmt::format("  {} --- {} --- {} {}\n", end_text(near), cable_text(link), far.host,
                          end_text(far));
    }
    for (const DeviceSpec& device : t.devices) {
      if (device.host == host.name) {
        text +=
            fmt::format("  {} {} --- the machine's\n", device.name, addresses(device.addresses));
      }
    }
    for (const RouteSpec& r : host.routes) {
      text += fmt::format("  route {} via {}\n", net::to_string(r.destination),
                          net::to_string(r.gateway));
    }
    for (const ProgramSpec& p : t.programs) {
      if (p.host == host.name) text += fmt::format("  runs {}\n", p.command);
    }
  }
  if (!t.checks.empty()) text += "\nchecks\n";
  for (const CheckSpec& check : t.checks) text += "  " + check.text() + "\n";
  return text;
}

std::string to_json(const Topology& t) {
  using Json = nlohmann::ordered_json;
  Json hosts = Json::array(), links = Json::array(), checks = Json::array();
  for (const PlaceSpec& host : t.hosts) {
    hosts.push_back(
        {{"name", host.name}, {"kind", name_of(host.kind)}, {"forwards", host.forwards}});
  }
  const auto end = [](const CableEnd& e) {
    Json all = Json::array();
    for (const net::Prefix& p : e.addresses) all.push_back(net::to_string(p));
    return Json{{"host", e.host}, {"interface", e.interface}, {"addresses", all}};
  };
  for (const CableSpec& link : t.links) {
    links.push_back({{"name", link.name},
                     {"from", end(link.from)},
                     {"to", end(link.to)},
                     {"config", link.config}});
  }
  for (const CheckSpec& check : t.checks) checks.push_back(check.text());
  return Json{{"name", t.name},
              {"real_time", t.is_real()},
              {"hosts", hosts},
              {"links", links},
              {"checks", checks}}
             .dump(2) +
         "\n";
}

std::string to_svg(const Topology& t) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\">\n<style>"
      "text{{font:11px sans-serif;text-anchor:middle;fill:#555;paint-order:stroke;stroke:#fff;"
      "stroke-width:4px}}.name{{font-weight:bold;font-size:13px;fill:#222;stroke:none}}"
      ".kind{{stroke:none}}.link{{fill:#222}}path{{stroke:#888;stroke-width:2;fill:none}}"
      "rect{{fill:#fff;stroke:#369;stroke-width:1.5}}rect.router{{fill:#e8f0fb}}"
      "rect.jail{{fill:#eef7ee}}</style>\n<title>{}</title>\n",
      kWidth, kHeight, kyua::escape_markup(t.name));
  std::string texts;
  std::vector<std::pair<std::string, std::string>> drawn;
  for (const CableSpec& link : t.links) {
    std::pair<std::string, std::string> ends = std::minmax(link.from.host, link.to.host);
    const auto nth = std::count(drawn.begin(), drawn.end(), ends);
    const Curve c = curve_of(t, link, static_cast<int>(nth));
    svg += fmt::format("<path d=\"M{:.0f} {:.0f} Q{:.0f} {:.0f} {:.0f} {:.0f}\"/>\n", c.from.x,
                       c.from.y, c.control.x, c.control.y, c.to.x, c.to.y);
    texts += draw_texts(link, c);
    drawn.push_back(std::move(ends));
  }
  for (const PlaceSpec& host : t.hosts) {
    const Point at = place_of(t, host.name);
    svg += fmt::format(
        "<rect class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" "
        "rx=\"8\"/>\n",
        name_of(host.kind), at.x - kBoxWidth / 2, at.y - kBoxHeight / 2, kBoxWidth, kBoxHeight);
    texts += label({at.x, at.y - 9}, {host.name}, "name");
    texts += label({at.x, at.y + 10}, {std::string(name_of(host.kind))}, "kind");
  }
  for (const DeviceSpec& device : t.devices) {
    const Point at = place_of(t, device.host);
    // On the side that the links are not.
    const double away = (at.y < kHeight / 2 ? -1 : 1) * (kBoxHeight / 2 + kLine);
    texts += label({at.x, at.y + away}, {device.name + " " + addresses(device.addresses)}, "end");
  }
  return svg + texts + "</svg>\n";
}

}  // namespace wh::lab
