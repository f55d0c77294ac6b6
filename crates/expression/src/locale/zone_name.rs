//! What zones are called.

use std::{collections::HashMap, sync::LazyLock};

use super::Locale;
use crate::time::zone::Zone;

/// A line of the table: the long names, the short names per language, the zones. Of two names the
/// second is that of summer; one that is missing is written as the offset.
struct Names {
    long: &'static str,
    short: &'static str,
}

static NAMES: LazyLock<HashMap<String, Names>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for line in include_str!("zones.txt").lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (long, short, zones) = (next(), next(), next());
        for zone in zones.split(' ') {
            names.insert(zone.to_ascii_lowercase(), Names { long, short });
        }
    }
    names
});

/// The long names of the other languages, by the English one.
static LONG: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("zone-names.txt").lines();
    lines.filter_map(|line| line.split_once('\t')).collect()
});

fn names_of(zone: Zone<'_>) -> Option<&'static Names> {
    match zone {
        Zone::Fixed(0) => NAMES.get("utc"),
        Zone::Fixed(_) => None,
        Zone::Named(name) => NAMES.get(&name.to_ascii_lowercase()),
    }
}

/// `CET`, `EST`, `GMT+5:30`.
pub(crate) fn short(zone: Zone<'_>, locale: Locale, millis: i64) -> String {
    let pair = names_of(zone).and_then(|names| names.short.split('|').nth(locale as usize));
    let named = pair.and_then(|pair| chosen(pair, '/', zone.is_summer(millis)));
    named.map_or_else(|| offset(zone.offset(millis), locale, false), str::to_owned)
}

/// `Central European Standard Time`, or `GMT+01:00`.
pub(crate) fn long(zone: Zone<'_>, locale: Locale, millis: i64) -> String {
    let english = names_of(zone).and_then(|names| chosen(names.long, '|', zone.is_summer(millis)));
    let named = match (locale as usize).checked_sub(1) {
        None => english,
        Some(at) => english.and_then(|name| LONG.get(name)?.split('\t').nth(at)),
    };
    named.map_or_else(|| offset(zone.offset(millis), locale, true), str::to_owned)
}

/// The name of standard or of summer time, if it has one.
fn chosen(pair: &'static str, separator: char, summer: bool) -> Option<&'static str> {
    let (standard, daylight) = pair.split_once(separator)?;
    let name = if summer { daylight } else { standard };
    (!name.is_empty()).then_some(name)
}

/// `GMT+1`, `GMT+5:30`, or in full `GMT+01:00`; French says `UTC−1`.
pub(crate) fn offset(millis: i64, locale: Locale, full: bool) -> String {
    let base = if locale == Locale::Fr { "UTC" } else { "GMT" };
    let minutes = millis.abs() / 60_000;
    let sign = match (millis <= -60_000, locale) {
        (false, _) => '+',
        (true, Locale::Fr) => '−',
        (true, _) => '-',
    };
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match (full, minutes) {
        (true, _) => format!("{base}{sign}{hours:02}:{minutes:02}"),
        (false, 0) => format!("{base}{sign}{hours}"),
        (false, _) => format!("{base}{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_season_and_the_language() {
        let berlin = Zone::Named("Europe/Berlin");
        let (winter, summer) = (1_767_225_600_000, 1_782_864_000_000);
        assert_eq!(
            long(berlin, Locale::En, winter),
            "Central European Standard Time"
        );
        assert_eq!(
            long(berlin, Locale::En, summer),
            "Central European Summer Time"
        );
        assert_eq!(short(berlin, Locale::De, summer), "MESZ");
        assert_eq!(short(berlin, Locale::En, summer), "GMT+2");
        assert_eq!(short(berlin, Locale::Fr, winter), "UTC+1");
        assert_eq!(short(Zone::UTC, Locale::En, winter), "UTC");
        let sydney = Zone::Named("Australia/Sydney");
        assert_eq!(
            long(sydney, Locale::En, winter),
            "Australian Eastern Daylight Time"
        );
        assert_eq!(long(Zone::Fixed(-210), Locale::De, winter), "GMT-03:30");
    }
}
