//! Reading the arguments that times and durations share.

use crate::{
    error::Fault,
    library::{
        Args,
        intl::{no_locale, option},
    },
    locale::Locale,
    machine::Machine,
    suggest,
    time::{
        date_time::{DateTime, Invalid},
        duration::{Duration, Unit},
        fields::{FIELDS, Field, Values},
        zone::Zone,
    },
    value::{Instance, Text, Val, json_entries, json_entries_bytes},
};

/// The keys and values of an object.
pub(in crate::library) fn entries<'a>(
    m: &mut Machine<'a>,
    object: Val<'a>,
) -> Result<Vec<(Text<'a>, Val<'a>)>, Fault> {
    match object {
        Val::JsonObject(map) => {
            m.walk(map.len())?;
            m.reserve(json_entries_bytes(map) + map.len() * size_of::<(Text<'_>, Val<'_>)>())?;
            Ok(json_entries(map)
                .map(|(key, value)| (Text::Utf8(key.as_str()), Val::from_json(value)))
                .collect())
        }
        Val::Object(object) => {
            m.walk(object.entries().len())?;
            m.reserve(size_of_val(object.entries()))?;
            Ok(object.entries().to_vec())
        }
        other => Err(Fault::new(
            "TYPE_ARGUMENT",
            format!("an object is needed, not {}", other.kind()),
        )
        .hint("write `{ days: 1 }`")),
    }
}

/// A number that counts a unit.
fn count<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<f64, Fault> {
    let empty = value.text().is_some_and(Text::is_empty);
    let number = m.number_of(value)?;
    if matches!(value, Val::Bool(_)) || empty || !number.is_finite() {
        let message = format!("a number is needed for a unit, not {}", value.kind());
        return Err(Fault::new("TYPE_ARGUMENT", message));
    }
    Ok(number)
}

#[cold]
fn unknown(name: &str, known: &[&'static str]) -> Fault {
    let fault = Fault::new("TYPE_ARGUMENT", "there is no such unit of time");
    match suggest::nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("there are {}", known.join(", "))),
    }
}

/// The unit that a text names.
pub(in crate::library) fn unit<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<Unit, Fault> {
    let name = m.text_of(value)?.utf8().unwrap_or_default();
    Unit::find(name).ok_or_else(|| unknown(name, &Unit::ALL.map(Unit::name)))
}

/// One unit, or a list of them; `otherwise` if none is given.
pub(in crate::library) fn units<'a>(
    m: &mut Machine<'a>,
    value: Val<'a>,
    otherwise: Unit,
) -> Result<Vec<Unit>, Fault> {
    match value.items() {
        Some(items) => {
            m.walk(items.len())?;
            items.iter().map(|item| unit(m, item)).collect()
        }
        None if matches!(value, Val::Undefined) => Ok(vec![otherwise]),
        None => Ok(vec![unit(m, value)?]),
    }
}

/// The units of an object.
pub(in crate::library) fn duration_object<'a>(
    m: &mut Machine<'a>,
    object: Val<'a>,
) -> Result<Duration, Fault> {
    let mut duration = Duration::EMPTY;
    for (key, value) in entries(m, object)? {
        if value.is_nullish() {
            continue;
        }
        let name = key.utf8().unwrap_or_default();
        let unit = Unit::find(name).ok_or_else(|| unknown(name, &Unit::ALL.map(Unit::name)))?;
        duration.values[unit as usize] = Some(count(m, value)?);
    }
    Ok(duration)
}

/// What stands for a duration: one, an object, milliseconds, or a number and a unit.
pub(in crate::library) fn duration_like<'a>(
    m: &mut Machine<'a>,
    args: Args<'a, '_>,
) -> Result<Duration, Fault> {
    match (args.get(0), args.get(1)) {
        (Val::Instance(Instance::Duration(duration)), _) => Ok(*duration),
        (Val::Num(_) | Val::Exact(_), Val::Undefined) => {
            let millis = m.number_of(args.get(0))?;
            Ok(Duration::of(Unit::Milliseconds, millis))
        }
        (amount, Val::Undefined) if amount.text().is_none() => duration_object(m, amount),
        (amount, name) if name.text().is_some() => {
            let unit = unit(m, name)?;
            Ok(Duration::of(unit, count(m, amount)?))
        }
        (other, _) => Err(Fault::new(
            "TYPE_ARGUMENT",
            format!("a duration is needed, not {}", other.kind()),
        )
        .hint("write `{ days: 1 }`, or a number and a unit: `1, 'days'`")),
    }
}

/// The fields of an object, as `set` and `fromObject` take them.
pub(super) fn field_values<'a>(m: &mut Machine<'a>, object: Val<'a>) -> Result<Values, Fault> {
    let mut values: Values = [None; FIELDS];
    for (key, value) in entries(m, object)? {
        if value.is_nullish() {
            continue;
        }
        let name = key.utf8().unwrap_or_default();
        let Some(field) = Field::find(name) else {
            return Err(unknown(
                name,
                &["year", "month", "day", "hour", "minute", "second"],
            ));
        };
        values[field as usize] = Some(count(m, value)?);
    }
    one_calendar(&values)?;
    Ok(values)
}

/// Refuses a day that is named by fields of several calendars.
pub(super) fn one_calendar(values: &Values) -> Result<(), Fault> {
    let has = |field: Field| values[field as usize].is_some();
    let week = [Field::WeekYear, Field::WeekNumber].into_iter().any(has);
    let month_day = [Field::Month, Field::Day].into_iter().any(has);
    let calendar = month_day || has(Field::Year) || has(Field::Ordinal);
    if week && calendar || month_day && has(Field::Ordinal) {
        let message = "fields of different calendars cannot be mixed";
        return Err(Fault::new("TYPE_ARGUMENT", message)
            .hint("name a day by year, month, day, or by weekYear, weekNumber, weekday"));
    }
    Ok(())
}

/// A zone: a name, minutes, or the workflow's; `None` if there is no such zone.
pub(super) fn zone_of<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Result<Option<Zone<'a>>, Fault> {
    match value {
        Val::Undefined | Val::Null => Ok(Some(m.zone()?)),
        Val::Num(minutes) if minutes.abs() < 1_440.0 => Ok(Some(Zone::Fixed(minutes as i32))),
        value => {
            let name = value.text().and_then(Text::utf8);
            match name {
                Some("local" | "system" | "default") => Ok(Some(m.zone()?)),
                name => Ok(name.and_then(Zone::find)),
            }
        }
    }
}

/// The options `zone`, `locale` and `setZone`.
pub(super) struct Place<'a> {
    pub(super) zone: Option<Zone<'a>>,
    pub(super) locale: Locale,
    pub(super) keep_zone: bool,
}

pub(super) fn place<'a>(m: &mut Machine<'a>, options: Val<'a>) -> Result<Place<'a>, Fault> {
    if options.is_nullish() {
        return Ok(Place {
            zone: Some(m.zone()?),
            locale: Locale::En,
            keep_zone: false,
        });
    }
    let zone = m
        .own(options, Text::Utf8("zone"))?
        .unwrap_or(Val::Undefined);
    let keep = m.own(options, Text::Utf8("setZone"))?;
    Ok(Place {
        zone: zone_of(m, zone)?,
        locale: locale_option(m, options)?.unwrap_or(Locale::En),
        keep_zone: keep.is_some_and(Val::truthy),
    })
}

pub(super) fn locale_option<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
) -> Result<Option<Locale>, Fault> {
    if options.is_nullish() {
        return Ok(None);
    }
    match option(m, options, "locale")? {
        Some(tag) => Locale::find(tag).map(Some).map_err(no_locale),
        None => Ok(None),
    }
}

/// An option that is true or false.
pub(super) fn flag<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    otherwise: bool,
) -> Result<bool, Fault> {
    if options.is_nullish() {
        return Ok(otherwise);
    }
    let value = m.own(options, Text::Utf8(name))?;
    Ok(match value {
        None | Some(Val::Undefined) => otherwise,
        Some(value) => value.truthy(),
    })
}

/// An option that is a number.
pub(in crate::library) fn number_option<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
) -> Result<Option<f64>, Fault> {
    if options.is_nullish() {
        return Ok(None);
    }
    match m.own(options, Text::Utf8(name))? {
        None | Some(Val::Undefined) => Ok(None),
        Some(value) => m.number_of(value).map(Some),
    }
}

/// A time that an argument stands for: a `DateTime`, a `Date`, or an object of fields.
pub(in crate::library) fn time_like<'a>(
    m: &mut Machine<'a>,
    value: Val<'a>,
) -> Result<DateTime<'a>, Fault> {
    match value {
        Val::Instance(Instance::DateTime(time)) => Ok(*time),
        Val::Instance(Instance::Date(time)) => {
            let now = m.now()?;
            Ok(DateTime::new(*time, now.zone, now.locale))
        }
        Val::JsonObject(_) | Val::Object(_) => {
            let values = field_values(m, value)?;
            Ok(DateTime::from_values(m.now()?, &values, None))
        }
        value if value.text().is_some() => {
            let text = m.text_of(value)?.utf8().unwrap_or_default();
            let found = super::make::any_form(m, text)?;
            Ok(found.unwrap_or(DateTime::invalid(Invalid::Unparsable)))
        }
        other => Err(Fault::new(
            "TYPE_ARGUMENT",
            format!("a DateTime or a Date is needed, not {}", other.kind()),
        )
        .hint("write `DateTime.fromISO(…)` or `new Date(…)`")),
    }
}
