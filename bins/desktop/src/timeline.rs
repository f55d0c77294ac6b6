//! What an execution spent its time with, drawn over time.

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_execution::{Spent, Stretch, Timeline};

use crate::{
    console::{Colours, Paint},
    progress::seconds,
};

/// The narrowest terminal that is drawn for, in columns; what is narrower wraps.
const LEAST_WIDTH: usize = 60;
/// The widest, since eyes lose the line.
const MOST_WIDTH: usize = 160;
/// The longest name of an instance that is shown whole, in characters, where there is room.
const MOST_NAME: usize = 28;
/// Columns of a duration: `1h23m45s`.
const TOOK: usize = 9;
/// The most lines; JSON has all.
const MOST_LINES: usize = 200;

/// One line: a stretch with its place in time.
struct Line<'t> {
    stretch: &'t Stretch,
    from: i64,
    to: i64,
}

/// Draws it, with a head and what it adds up to; empty if there is nothing. What is not over goes on until
/// `now`.
pub(crate) fn draw(timeline: &Timeline, now: Timestamp, width: usize, colours: Colours) -> String {
    let width = width.clamp(LEAST_WIDTH, MOST_WIDTH);
    let lines = lines(timeline, now);
    let (Some(first), Some(last)) = (
        lines.iter().map(|it| it.from).min(),
        lines.iter().map(|it| it.to).max(),
    ) else {
        return String::new();
    };
    let name = |it: &Line<'_>| it.stretch.instance.as_deref().unwrap_or("").chars().count();
    let name_width = lines
        .iter()
        .map(name)
        .max()
        .unwrap_or(0)
        .clamp(4, MOST_NAME.min(width / 5));
    let said_width = width * 3 / 8;
    let bar_width = width - name_width - TOOK - said_width - 4;
    let scale = Scale {
        from: first,
        span: (last - first).max(1),
        cells: bar_width,
    };
    let total = seconds(Duration::from_millis(
        u64::try_from(last - first).unwrap_or(0),
    ));
    let rule = format!("0{total:>fill$}", fill = bar_width - 1);
    let head = format!("{:name_width$} {rule} {:>TOOK$} {}", "NODE", "TOOK", "WHAT");
    let mut drawn = vec![head];
    let mut before = None;
    for line in lines.iter().take(MOST_LINES) {
        let lane = line.stretch.instance.as_deref();
        let name = match before == Some(lane) {
            true => String::new(),
            false => cut(lane.unwrap_or(""), name_width),
        };
        before = Some(lane);
        let (text, paint) = look(line.stretch);
        let (lead, bar, rest) = scale.bar(line, text);
        let bar = colours.paint(paint, bar);
        let span = Duration::from_millis(u64::try_from(line.to - line.from).unwrap_or(0));
        let took = match line.stretch.to.is_some() {
            true => seconds(span),
            false => format!("{}…", seconds(span)),
        };
        let said = cut(&said(line.stretch), said_width);
        let said = match failed(line.stretch) {
            true => colours.paint(Paint::Red, said),
            false => said,
        };
        drawn.push(format!(
            "{name:name_width$} {lead}{bar}{rest} {took:>TOOK$} {said}"
        ));
    }
    let more = lines.len().saturating_sub(MOST_LINES) as u64 + timeline.truncated;
    if more > 0 {
        drawn.push(format!(
            "… and {more} more, which --json shows as far as they are kept"
        ));
    }
    drawn.push(sums(&lines));
    drawn.join("\n")
}

/// By instance, in the order in which these came first; the execution itself before all.
fn lines<'t>(timeline: &'t Timeline, now: Timestamp) -> Vec<Line<'t>> {
    let time = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millis);
    let mut lines: Vec<_> = timeline
        .stretches
        .iter()
        .filter_map(|stretch| {
            let from = time(&stretch.from)?;
            let to = stretch
                .to
                .as_deref()
                .and_then(time)
                .unwrap_or(now.as_millis());
            let to = to.max(from);
            Some(Line { stretch, from, to })
        })
        .collect();
    let mut lanes: Vec<Option<&str>> = vec![None];
    for line in &lines {
        let lane = line.stretch.instance.as_deref();
        if !lanes.contains(&lane) && lanes.len() <= MOST_LINES {
            lanes.push(lane);
        }
    }
    let place = |line: &Line<'_>| {
        let lane = line.stretch.instance.as_deref();
        lanes
            .iter()
            .position(|it| *it == lane)
            .unwrap_or(usize::MAX)
    };
    lines.sort_by_cached_key(|line| (place(line), line.from));
    lines
}

/// From moments to cells.
struct Scale {
    from: i64,
    span: i64,
    cells: usize,
}

impl Scale {
    fn cell(&self, at: i64) -> usize {
        let cells = i64::try_from(self.cells).unwrap_or(i64::MAX);
        let cell = (at - self.from).saturating_mul(cells) / self.span;
        usize::try_from(cell).unwrap_or(0)
    }

    /// What is before a bar, the bar, which has at least one cell, and what is behind it.
    fn bar(&self, line: &Line<'_>, text: char) -> (String, String, String) {
        let lead = self.cell(line.from).min(self.cells - 1);
        let end = self.cell(line.to).clamp(lead + 1, self.cells);
        let fill = |text: char, cells: usize| std::iter::repeat_n(text, cells).collect::<String>();
        (
            fill(' ', lead),
            fill(text, end - lead),
            fill(' ', self.cells - end),
        )
    }
}

fn look(stretch: &Stretch) -> (char, Paint) {
    match stretch.spent {
        Spent::Attempt if failed(stretch) => ('█', Paint::Red),
        Spent::Attempt => ('█', Paint::Green),
        Spent::Compensation => ('█', Paint::Yellow),
        Spent::Body => ('─', Paint::Dim),
        Spent::Queue => ('·', Paint::Dim),
        Spent::Pause | Spent::Parked => ('▒', Paint::Yellow),
        _ => ('░', Paint::Cyan),
    }
}

fn failed(stretch: &Stretch) -> bool {
    stretch.spent == Spent::Attempt && stretch.note.is_some()
}

fn said(stretch: &Stretch) -> String {
    let note = stretch.note.as_deref().unwrap_or("");
    let attempt = stretch.attempt.unwrap_or(1);
    match stretch.spent {
        Spent::Queue => "queued".to_owned(),
        Spent::Attempt if note.is_empty() => format!("attempt {attempt}"),
        Spent::Attempt => format!("attempt {attempt} {note}"),
        // The bar says until when.
        Spent::Retry => "waits for its retry".to_owned(),
        Spent::Timer => format!("waits {note}"),
        Spent::Signal => format!("waits for signal {note}"),
        Spent::Approval => format!("asks people {note}").trim_end().to_owned(),
        Spent::Slot => format!("waits for a slot of {note}"),
        Spent::Milestone => format!("waits for {note}"),
        Spent::Call => format!("calls {note}"),
        Spent::Body => "body".to_owned(),
        Spent::Compensation => format!("undone, attempt {attempt}"),
        Spent::Pause => "paused".to_owned(),
        Spent::Parked => "parked: a person decides".to_owned(),
    }
}

/// What it adds up to. Stretches that lie beside each other count each.
fn sums(lines: &[Line<'_>]) -> String {
    let of = |wanted: &dyn Fn(Spent) -> bool| {
        let found = lines.iter().filter(|it| wanted(it.stretch.spent));
        let millis: i64 = found.map(|it| it.to - it.from).sum();
        seconds(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    };
    let count = |spent: Spent| lines.iter().filter(|it| it.stretch.spent == spent).count();
    let waits = |spent: Spent| {
        !matches!(
            spent,
            Spent::Queue | Spent::Attempt | Spent::Body | Spent::Compensation | Spent::Retry
        )
    };
    let (attempts, retries) = (count(Spent::Attempt), count(Spent::Retry));
    let plural = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    format!(
        "queued {}, ran {} in {}, waited {} and {} for {}",
        of(&|it| it == Spent::Queue),
        of(&|it| it == Spent::Attempt),
        plural(attempts, "attempt", "attempts"),
        of(&waits),
        of(&|it| it == Spent::Retry),
        plural(retries, "retry", "retries"),
    )
}

/// A text in so many columns.
fn cut(text: &str, most: usize) -> String {
    let clean = text.replace(char::is_control, " ");
    if clean.chars().count() <= most {
        return clean;
    }
    let mut cut: String = clean.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// How many columns standard output has; 80 where nobody says.
pub(crate) fn columns() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
    {
        return size.ws_col.into();
    }
    80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(
        spent: Spent,
        instance: &str,
        (from, to): (i64, Option<i64>),
        note: &str,
    ) -> Stretch {
        let time = |at: i64| Timestamp::from_millis(1_000_000 + at).to_string();
        Stretch {
            spent,
            instance: (!instance.is_empty()).then(|| instance.to_owned()),
            attempt: Some(1),
            from: time(from),
            to: to.map(time),
            note: (!note.is_empty()).then(|| note.to_owned()),
        }
    }

    fn timeline() -> Timeline {
        Timeline {
            stretches: vec![
                stretch(Spent::Queue, "", (0, Some(100)), ""),
                stretch(Spent::Attempt, "fetch", (100, Some(300)), "HTTP_503"),
                stretch(Spent::Retry, "fetch", (300, Some(800)), "until later"),
                stretch(Spent::Attempt, "fetch", (800, Some(1_000)), ""),
                stretch(
                    Spent::Signal,
                    "approve_the_order_of_a_customer",
                    (1_000, None),
                    "go",
                ),
            ],
            truncated: 0,
        }
    }

    fn drawn(width: usize) -> Vec<String> {
        let now = Timestamp::from_millis(1_002_000);
        let drawn = draw(&timeline(), now, width, Colours(false));
        drawn.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_stretch_has_its_place() {
        let expected = [
            "NODE             0               2.0 s      TOOK WHAT",
            "                 ·                      100 ms queued",
            "fetch             ██                    200 ms attempt 1 HTTP_503",
            "                    ░░░░░                500 ms waits for its retry",
        ];
        let drawn = drawn(80);
        assert_eq!(drawn.len(), 7, "{drawn:#?}");
        for (line, expected) in drawn.iter().zip(expected) {
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(words(line), words(expected));
        }
        assert!(drawn[5].starts_with("approve_the_ord… "), "{}", drawn[5]);
        assert!(
            drawn[5].contains("1.0 s… waits for signal go"),
            "{}",
            drawn[5]
        );
        assert_eq!(
            drawn[6],
            "queued 100 ms, ran 400 ms in 2 attempts, waited 1.0 s and 500 ms for 1 retry"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [60, 80, 100, 120, 160] {
            for line in drawn(width) {
                assert!(line.chars().count() <= width.max(80), "{width}: {line}");
            }
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(
            draw(&Timeline::default(), Timestamp::MAX, 80, Colours(false)),
            ""
        );
    }
}
