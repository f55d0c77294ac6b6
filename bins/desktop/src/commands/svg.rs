//! A plan as a drawing: rows from the top to the bottom, each body in a box below its node.
//!
//! Nodes stand in the row behind the last of those that lead to them. A connection over several rows has
//! a place in each of them, so it passes nodes and does not cross them; one that goes back runs around
//! its rows on the right. All places are whole numbers that follow from the plan alone.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

use nebula_action::{EffectClass, PORT_MAIN};
use nebula_execution::ExecutionPlan;

use crate::commands::plan::called;

/// The longest text in the drawing, in characters; the whole is its tooltip.
const MAX_TEXT: usize = 40;
/// How wide a character of a box is, of the font that is asked for.
const CHARACTER: i64 = 8;
const LINE: i64 = 17;
/// Around the text of a box.
const PAD: i64 = 12;
/// Between the boxes of a row.
const GAP: i64 = 36;
/// Between rows: room for what stands beside connections.
const ROW_GAP: i64 = 60;
/// How wide the place of a connection is in a row that it passes.
const PASSAGE: i64 = 16;
/// Between the ways back.
const LANE: i64 = 20;
/// Around everything, and around a body.
const MARGIN: i64 = 24;

const STYLE: &str = "svg{background:#fff}text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1a1a1a}\
.node rect{fill:#f6f8fa;stroke:#57606a}.node.writes rect{stroke-width:2.5}\
.node.once rect{stroke-width:2.5;stroke-dasharray:7 3}.small{font-size:11px;fill:#57606a}\
.body{fill:#0969da;fill-opacity:.05;stroke:#0969da;stroke-dasharray:4 4}\
.edge,.side{fill:none;stroke:#57606a;stroke-width:1.4;marker-end:url(#arrow)}\
.back{stroke-dasharray:6 4}.side{stroke-dasharray:2 4}\
.label{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}";

/// The drawing: one element, without anything from elsewhere.
pub(super) fn drawing(plan: &ExecutionPlan) -> String {
    let mut region = Region::of(plan, 0..plan.top_level().len() as u32);
    let title = plan.name.as_str();
    let head = LINE + MARGIN;
    region.moved(MARGIN, head + MARGIN / 2);
    let width = (region.width + 2 * MARGIN).max(text_width(&cut(title)) + 2 * MARGIN);
    let height = region.height + head + 2 * MARGIN;
    let mut places = BTreeMap::new();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto-start-reverse\">\
         <path d=\"M0 0L8 4L0 8z\" fill=\"#57606a\"/></marker></defs>\n\
         <text x=\"{MARGIN}\" y=\"{}\">{}</text>\n",
        escaped(title),
        MARGIN + LINE / 2,
        escaped(&cut(title)),
    );
    let mut labels = String::new();
    region.draw(&mut out, &mut labels, &mut places);
    sides(plan, &places, &mut out, &mut labels);
    out.push_str(&labels);
    out.push_str("</svg>");
    out
}

/// A box with its place.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
}

impl Place {
    fn middle(self) -> i64 {
        self.x + self.width / 2
    }

    fn bottom(self) -> i64 {
        self.y + self.height
    }
}

/// A node, and its body below it.
struct Cell {
    node: u32,
    class: &'static str,
    lines: Vec<String>,
    /// The box of the node itself.
    own: Place,
    /// With the body.
    whole: Place,
    body: Option<(String, Region)>,
}

impl Cell {
    fn of(plan: &ExecutionPlan, index: u32) -> Self {
        let node = plan.node(index);
        let each = if node.for_each.is_some() || node.each_item {
            " for each"
        } else {
            ""
        };
        let mut lines = vec![
            node.id.to_string(),
            format!("{}@{}{each}", node.action, node.version),
        ];
        lines.extend(called(plan, index).map(|called| format!("calls {called}")));
        let undoing = node.compensation.as_ref();
        lines.extend(undoing.map(|it| format!("undone by {}@{}", it.action, it.version)));
        let widest = lines.iter().map(|line| text_width(&cut(line))).max();
        let own = Place {
            x: 0,
            y: 0,
            width: widest.unwrap_or(0) + 2 * PAD,
            height: lines.len() as i64 * LINE + 2 * PAD - 4,
        };
        let body = plan.body_of(index).map(|(_, body)| {
            let title = format!("body of {}", node.id);
            (title, Region::of(plan, body.first..body.first + body.count))
        });
        let mut whole = own;
        if let Some((title, body)) = &body {
            let inner = body.width.max(text_width(&cut(title)));
            whole.width = whole.width.max(inner + 2 * MARGIN);
            whole.height += GAP / 2 + LINE + body.height + 2 * MARGIN;
        }
        let class = match (node.effect.writes(), node.effect) {
            (true, EffectClass::AtMostOnce) => "node once",
            (true, _) => "node writes",
            (false, _) => "node",
        };
        Self {
            node: index,
            class,
            lines,
            own,
            whole,
            body,
        }
    }

    /// Puts it there.
    fn at(&mut self, x: i64, y: i64) {
        (self.whole.x, self.whole.y) = (x, y);
        (self.own.x, self.own.y) = (x + (self.whole.width - self.own.width) / 2, y);
        if let Some((_, body)) = &mut self.body {
            let left = x + (self.whole.width - body.width) / 2;
            body.moved(left, self.own.bottom() + GAP / 2 + LINE + MARGIN);
        }
    }

    fn draw(&self, out: &mut String, labels: &mut String, places: &mut BTreeMap<u32, Place>) {
        places.insert(self.node, self.own);
        if let Some((title, body)) = &self.body {
            let top = self.own.bottom() + GAP / 2;
            let _ = writeln!(
                out,
                "<rect class=\"body\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"8\"/>\
                 <text class=\"small\" x=\"{}\" y=\"{}\">{}</text>",
                self.whole.x,
                self.whole.width,
                self.whole.bottom() - top,
                self.whole.x + PAD,
                top + LINE,
                escaped(&cut(title)),
            );
            let _ = writeln!(
                out,
                "<path class=\"edge back\" d=\"M{x} {}V{top}\"/>",
                self.own.bottom(),
                x = self.own.middle(),
            );
            body.draw(out, labels, places);
        }
        let Place {
            x,
            y,
            width,
            height,
        } = self.own;
        let _ = write!(
            out,
            "<g class=\"{}\" id=\"n{}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>",
            self.class,
            self.node,
            escaped(&self.lines.join("\n")),
        );
        for (row, line) in (1..).zip(&self.lines) {
            let class = if row == 1 { "" } else { " class=\"small\"" };
            let _ = write!(
                out,
                "<text{class} text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
                self.own.middle(),
                y + PAD - 5 + row * LINE,
                escaped(&cut(line)),
            );
        }
        out.push_str("</g>\n");
    }
}

/// A connection.
struct Edge {
    /// Places of its nodes among those of the region.
    from: usize,
    to: usize,
    label: String,
    back: bool,
    /// Where it passes rows: its middle, for each row between.
    passages: Vec<i64>,
}

/// What stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Node(usize),
    Passage(usize),
}

/// The nodes of the plan, or of a body.
struct Region {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    first: u32,
    cells: Vec<Cell>,
    edges: Vec<Edge>,
    /// The row of each node.
    depth: Vec<usize>,
    /// Top and height of each row.
    rows: Vec<(i64, i64)>,
    /// Where the ways back begin.
    lanes: i64,
}

impl Region {
    fn of(plan: &ExecutionPlan, nodes: Range<u32>) -> Self {
        let first = nodes.start;
        let within = plan
            .connections
            .iter()
            .filter(|it| nodes.contains(&it.from) && nodes.contains(&it.to));
        let edges: Vec<_> = within
            .map(|it| {
                let mut parts = Vec::new();
                if it.port != PORT_MAIN {
                    parts.push(it.port.to_string());
                }
                parts.extend(it.condition.as_ref().map(|it| it.source().to_owned()));
                if it.input != PORT_MAIN {
                    parts.push(format!("→ {}", it.input));
                }
                Edge {
                    from: (it.from - first) as usize,
                    to: (it.to - first) as usize,
                    label: parts.join(": "),
                    back: it.closes_loop,
                    passages: Vec::new(),
                }
            })
            .collect();
        let cells: Vec<_> = nodes.map(|index| Cell::of(plan, index)).collect();
        let depth = depths(cells.len(), &edges);
        let mut region = Self {
            x: 0,
            y: 0,
            width: 0,
            height: 0,
            first,
            cells,
            edges,
            depth,
            rows: Vec::new(),
            lanes: 0,
        };
        region.arrange();
        region
    }

    /// Which items stand in which row, in which order: each below the middle of what leads to it.
    fn order(&self) -> Vec<Vec<Item>> {
        let count = self.depth.iter().max().map_or(0, |deepest| deepest + 1);
        let mut rows: Vec<Vec<Item>> = Vec::with_capacity(count);
        for row in 0..count {
            let nodes = (0..self.cells.len()).filter(|node| self.depth[*node] == row);
            let mut items: Vec<_> = nodes.map(Item::Node).collect();
            let passing = self.edges.iter().enumerate().filter(|(_, edge)| {
                !edge.back && self.depth[edge.from] < row && row < self.depth[edge.to]
            });
            items.extend(passing.map(|(edge, _)| Item::Passage(edge)));
            if let Some(above) = rows.last() {
                let place = |item: Item| above.iter().position(|it| *it == item).unwrap_or(0);
                let came = |edge: usize| match self.depth[self.edges[edge].from] + 1 == row {
                    true => place(Item::Node(self.edges[edge].from)),
                    false => place(Item::Passage(edge)),
                };
                items.sort_by_key(|item| {
                    let leads: Vec<_> = match *item {
                        Item::Passage(edge) => vec![came(edge)],
                        Item::Node(node) => (0..self.edges.len())
                            .filter(|edge| !self.edges[*edge].back && self.edges[*edge].to == node)
                            .map(came)
                            .collect(),
                    };
                    1_000 * leads.iter().sum::<usize>() / leads.len().max(1)
                });
            }
            rows.push(items);
        }
        rows
    }

    fn arrange(&mut self) {
        let rows = self.order();
        let width_of = |item: &Item| match item {
            Item::Node(node) => self.cells[*node].whole.width,
            Item::Passage(_) => PASSAGE,
        };
        let widths: Vec<i64> = rows
            .iter()
            .map(|row| row.iter().map(width_of).sum::<i64>() + GAP * (row.len() as i64 - 1).max(0))
            .collect();
        let label_width = |back: bool| {
            let labels = self.edges.iter().filter(|edge| edge.back == back);
            labels.map(|edge| small_width(&edge.label)).max()
        };
        let labels = [label_width(false), label_width(true)].map(Option::unwrap_or_default);
        let widest = widths.iter().copied().max().unwrap_or(0);
        self.lanes = widest.max(labels[0]);
        let back = self.edges.iter().filter(|edge| edge.back).count() as i64;
        // A way back begins above the first row and ends below the last one.
        let around = if back > 0 { MARGIN } else { 0 };
        let mut y = around;
        for (row, width) in rows.iter().zip(widths) {
            let mut x = (self.lanes - width) / 2;
            let mut height = 0;
            for item in row {
                match *item {
                    Item::Node(node) => {
                        let cell = &mut self.cells[node];
                        cell.at(x, y);
                        height = height.max(cell.whole.height);
                        x += cell.whole.width + GAP;
                    }
                    Item::Passage(edge) => {
                        self.edges[edge].passages.push(x + PASSAGE / 2);
                        x += PASSAGE + GAP;
                    }
                }
            }
            self.rows.push((y, height));
            y += height + ROW_GAP;
        }
        self.height = (y - ROW_GAP).max(0) + around;
        // What stands beside a way back is on its right.
        let aside = if back > 0 {
            LANE * (back + 1) + labels[1]
        } else {
            0
        };
        self.width = self.lanes + aside;
    }

    /// Puts it there.
    fn moved(&mut self, x: i64, y: i64) {
        let (right, down) = (x - self.x, y - self.y);
        (self.x, self.y) = (x, y);
        for cell in &mut self.cells {
            cell.at(cell.whole.x + right, cell.whole.y + down);
        }
        let passages = self.edges.iter_mut().flat_map(|edge| &mut edge.passages);
        passages.for_each(|middle| *middle += right);
        self.rows.iter_mut().for_each(|(top, _)| *top += down);
        self.lanes += right;
    }

    fn draw(&self, out: &mut String, labels: &mut String, places: &mut BTreeMap<u32, Place>) {
        let mut lane = self.lanes;
        for edge in &self.edges {
            let (from, to) = (&self.cells[edge.from], &self.cells[edge.to]);
            let (start, end) = (from.whole, to.whole);
            let (top, height) = self.rows[self.depth[edge.from]];
            let mut d = format!("M{} {}", start.middle(), start.bottom());
            let (label_x, label_y) = if edge.back {
                lane += LANE;
                let (out_of, into) = (top + height + MARGIN / 2, end.y - MARGIN / 2);
                // Beside what leads on from the one, and to the other.
                let aside = end.middle() + PAD;
                let _ = write!(d, "V{out_of}H{lane}V{into}H{aside}V{}", end.y);
                (lane + PAD / 2, out_of - PAD)
            } else {
                let (mut x, mut y) = (start.middle(), top + height);
                let next = edge.passages.first().copied().unwrap_or(end.middle());
                let half = small_width(&edge.label) / 2;
                // It goes beyond no border.
                let least = self.x + half;
                let most = (self.x + self.width - half).max(least);
                let label = (((x + next) / 2).clamp(least, most), y + ROW_GAP / 2);
                let _ = write!(d, "V{y}");
                let below = self.rows.iter().skip(self.depth[edge.from] + 1);
                for (middle, (top, height)) in edge.passages.iter().zip(below) {
                    d.push_str(&curve((x, y), (*middle, *top)));
                    (x, y) = (*middle, top + height);
                    let _ = write!(d, "V{y}");
                }
                d.push_str(&curve((x, y), (end.middle(), end.y)));
                label
            };
            let class = if edge.back { "edge back" } else { "edge" };
            let ends = (self.first + edge.from as u32, self.first + edge.to as u32);
            path((class, &d), ends, &edge.label, out);
            let anchor = if edge.back { "start" } else { "middle" };
            label((label_x, label_y), anchor, &edge.label, labels);
        }
        for cell in &self.cells {
            cell.draw(out, labels, places);
        }
    }
}

/// The row of each node: behind the last that leads to it.
fn depths(nodes: usize, edges: &[Edge]) -> Vec<usize> {
    let mut depth = vec![0; nodes];
    // Without the ways back there is no circle, so this comes to rest.
    for _ in 0..nodes {
        let mut moved = false;
        for edge in edges.iter().filter(|edge| !edge.back) {
            if depth[edge.to] <= depth[edge.from] {
                depth[edge.to] = depth[edge.from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    depth
}

fn curve((x, y): (i64, i64), (to_x, to_y): (i64, i64)) -> String {
    let half = (y + to_y) / 2;
    format!("C{x} {half} {to_x} {half} {to_x} {to_y}")
}

fn path((class, d): (&str, &str), (from, to): (u32, u32), label: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<path class=\"{class}\" data-from=\"n{from}\" data-to=\"n{to}\" d=\"{d}\"><title>{}</title></path>",
        escaped(label)
    );
}

fn label((x, y): (i64, i64), anchor: &str, text: &str, labels: &mut String) {
    if !text.is_empty() {
        let _ = writeln!(
            labels,
            "<text class=\"label\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escaped(&cut(text))
        );
    }
}

/// What one node does to another without leading to it.
fn sides(
    plan: &ExecutionPlan,
    places: &BTreeMap<u32, Place>,
    out: &mut String,
    labels: &mut String,
) {
    for index in 0..plan.nodes.len() as u32 {
        let milestone = plan.node(index).milestone.into_iter();
        let asks = milestone.flat_map(|it| [("reached", it.reached), ("until", it.until)]);
        let asks = asks.filter_map(|(what, node)| Some((what, node?)));
        let cancels = plan.gives_up(index).into_iter();
        for (what, node) in asks.chain(cancels.map(|node| ("cancels", node))) {
            let (Some(from), Some(to)) = (places.get(&index), places.get(&node)) else {
                continue;
            };
            let (x, y) = (from.middle(), from.y + from.height / 2);
            let (to_x, to_y) = (to.middle(), to.y + to.height / 2);
            // From border to border.
            let d = if y == to_y {
                let right = to_x > x;
                let start = if right { from.x + from.width } else { from.x };
                let end = if right { to.x } else { to.x + to.width };
                format!("M{start} {y}H{end}")
            } else {
                let left = from.x.min(to.x) - GAP / 2;
                format!("M{} {y}H{left}V{to_y}H{}", from.x, to.x)
            };
            path(("side", &d), (index, node), what, out);
            let middle = if y == to_y {
                ((x + to_x) / 2, y - 4)
            } else {
                (from.x.min(to.x) - GAP / 2, (y + to_y) / 2)
            };
            label(middle, "middle", what, labels);
        }
    }
}

/// As much of a text as is shown, in one line.
fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_TEXT).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// About how wide a text is: what is beyond the alphabets of Europe takes two places.
fn text_width(text: &str) -> i64 {
    let wide = |c: char| if c >= '\u{1100}' && c != '…' { 2 } else { 1 };
    CHARACTER * text.chars().map(wide).sum::<i64>()
}

/// The same of the small font, of what is shown of a text.
fn small_width(text: &str) -> i64 {
    text_width(&cut(text)) * 7 / CHARACTER
}

/// Text in XML: what it would read is written out, and what it must not have is a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_read_as_xml() {
        assert_eq!(
            escaped("$a < \"x\" && b"),
            "$a &lt; &quot;x&quot; &amp;&amp; b"
        );
        assert_eq!(escaped("a\u{0}b\u{ffff}c]]>"), "a b c]]&gt;");
        assert_eq!(cut(&"x".repeat(100)).chars().count(), MAX_TEXT + 1);
        assert_eq!(text_width("ab…"), 3 * CHARACTER);
        assert_eq!(text_width("漢"), 2 * CHARACTER);
    }

    #[test]
    fn a_node_stands_behind_all_that_lead_to_it() {
        let edge = |from, to, back| Edge {
            from,
            to,
            label: String::new(),
            back,
            passages: Vec::new(),
        };
        let edges = [
            edge(0, 1, false),
            edge(1, 2, false),
            edge(0, 2, false),
            edge(2, 1, true),
        ];
        assert_eq!(depths(4, &edges), [0, 1, 2, 0]);
    }
}
