#include "lab/drawing.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

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

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

struct Point {
  double x = 0, y = 0;
};
constexpr double kWidth = 960, kHeight = 600, kBoxWidth = 150, kBoxHeight = 56;

Point place_of(const Topology& topology, std::string_view host) {
  const size_t count = topology.hosts.size();
  const auto index = static_cast<size_t>(topology.host(host) - topology.hosts.data());
  // Two or three hosts stand in a row, in the file's order: a path. More, on an ellipse.
  if (count <= 3) {
    return {kWidth * (static_cast<double>(index) + 0.5) / static_cast<double>(count), kHeight / 2};
  }
  const double angle =
      2 * std::numbers::pi * static_cast<double>(index) / static_cast<double>(count) -
      std::numbers::pi / 2;
  return {kWidth / 2 + std::cos(angle) * (kWidth / 2 - kBoxWidth),
          kHeight / 2 + std::sin(angle) * (kHeight / 2 - 2 * kBoxHeight)};
}

std::string label(Point at, std::string_view text, std::string_view kind) {
  return fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" class=\"{}\">{}</text>\n", at.x, at.y, kind,
                     escape(text));
}

Point between(Point a, Point b, double share) {
  return {a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share};
}

// Links between the same two hosts bend away from each other.
std::string draw_link(const Topology& topology, const CableSpec& link, int nth) {
  const Point from = place_of(topology, link.from.host), to = place_of(topology, link.to.host);
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  const double bend = (nth % 2 == 0 ? 1 : -1) * ((nth + 1) / 2) * 70.0;
  const Point middle = between(from, to, 0.5);
  const Point control = {middle.x - (to.y - from.y) / length * bend,
                         middle.y + (to.x - from.x) / length * bend};
  std::string svg = fmt::format("<path d=\"M{:.0f} {:.0f} Q{:.0f} {:.0f} {:.0f} {:.0f}\"/>\n",
                                from.x, from.y, control.x, control.y, to.x, to.y);
  const Point name_at = between(middle, control, 0.5);
  svg += label({name_at.x, name_at.y - 6}, cable_text(link), "link");
  Point a = between(from, control, 0.45), b = between(to, control, 0.45);
  svg += label({a.x, a.y + 18}, end_text(link.from), "end");
  return svg + label({b.x, b.y + 34}, end_text(link.to), "end");
}

}  // namespace

std::string to_text(const Topology& t) {
  std::string text = fmt::format("lab {}: {} hosts, {} links; {} time\n", t.name, t.hosts.size(),
                                 t.links.size(), t.is_real() ? "real" : "virtual");
  for (const PlaceSpec& host : t.hosts) {
    text += fmt::format("\n{} ({}{})\n", host.name, to_string(host.kind),
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
        {{"name", host.name}, {"kind", to_string(host.kind)}, {"forwards", host.forwards}});
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
      "text{{font:13px sans-serif;text-anchor:middle;fill:#222}}.name{{font-weight:bold}}"
      ".end,.kind{{font-size:11px;fill:#555}}path{{stroke:#888;stroke-width:2;fill:none}}"
      "rect{{fill:#fff;stroke:#369;stroke-width:1.5}}rect.router{{fill:#e8f0fb}}"
      "rect.jail{{fill:#eef7ee}}</style>\n<title>{}</title>\n",
      kWidth, kHeight, escape(t.name));
  std::vector<std::pair<std::string, std::string>> drawn;
  for (const CableSpec& link : t.links) {
    std::pair<std::string, std::string> ends = std::minmax(link.from.host, link.to.host);
    const auto nth = std::count(drawn.begin(), drawn.end(), ends);
    svg += draw_link(t, link, static_cast<int>(nth));
    drawn.push_back(std::move(ends));
  }
  for (const PlaceSpec& host : t.hosts) {
    const Point at = place_of(t, host.name);
    svg += fmt::format(
        "<rect class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" "
        "rx=\"8\"/>\n",
        to_string(host.kind), at.x - kBoxWidth / 2, at.y - kBoxHeight / 2, kBoxWidth, kBoxHeight);
    svg += label({at.x, at.y - 3}, host.name, "name");
    svg += label({at.x, at.y + 15}, to_string(host.kind), "kind");
  }
  for (const DeviceSpec& device : t.devices) {
    const Point at = place_of(t, device.host);
    svg += label({at.x, at.y + kBoxHeight / 2 + 16},
                 device.name + " " + addresses(device.addresses), "end");
  }
  return svg + "</svg>\n";
}

}  // namespace wh::lab
