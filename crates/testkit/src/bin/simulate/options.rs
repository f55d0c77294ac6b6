//! What a run of the simulation may be asked for. `cargo xtask` reads it with this file as well, so
//! that a wrong word is told before anything is built; so there is nothing here but the standard library.

use std::{path::PathBuf, time::Duration};

/// How it is called.
pub(crate) const USAGE: &str = "\
usage: simulate [--seeds N] [--seed S] [--minutes M] [--regressions FILE]
       simulate --seed S --trace
       simulate --world 'seed=S …' [--trace]
       simulate --planted [--seeds N] [--seed S]
       simulate --deaths";

/// What is wanted of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) seed: Option<u64>,
    pub(crate) seeds: Option<u64>,
    pub(crate) until: Option<Duration>,
    /// One world, as text; its form is right, and only the simulation knows its words.
    pub(crate) world: Option<String>,
    pub(crate) trace: bool,
    pub(crate) planted: bool,
    /// Whether the reference workflows run, with a death at each call.
    pub(crate) deaths: bool,
    /// Where the worlds are that always live first.
    pub(crate) regressions: Option<PathBuf>,
}

impl Asked {
    /// Reads the words of a command line; or says what is wrong with them.
    pub(crate) fn read<A: AsRef<str>>(arguments: &[A]) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut rest = arguments.iter().map(AsRef::as_ref);
        while let Some(name) = rest.next() {
            match name {
                "--trace" => asked.trace = true,
                "--planted" => asked.planted = true,
                "--deaths" => asked.deaths = true,
                "--seeds" | "--seed" | "--minutes" | "--world" | "--regressions" => {
                    let value = rest.next().ok_or(format!("`{name}` needs a value"))?;
                    asked.set(name, value)?;
                }
                _ => return Err(format!("there is no `{name}`")),
            }
        }
        if asked.deaths && arguments.len() > 1 {
            return Err("`--deaths` has nothing to do with worlds: it stands alone".to_owned());
        }
        let is_one = asked.world.is_some();
        if is_one && (asked.planted || asked.seed.or(asked.seeds).is_some()) {
            return Err("a run is about one world or about many".to_owned());
        }
        if asked.until.is_some() && (is_one || asked.planted || asked.trace) {
            return Err("`--minutes` says for how long many worlds live".to_owned());
        }
        if asked.trace && !is_one {
            let seed = asked
                .seed
                .filter(|_| !asked.planted && asked.seeds.is_none());
            let seed =
                seed.ok_or("`--trace` shows one world: name it with `--seed` or `--world`")?;
            asked.world = Some(format!("seed={seed}"));
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || {
            value
                .parse()
                .map_err(|_| format!("`{name}` takes a whole number, and `{value}` is none"))
        };
        match name {
            "--seeds" => self.seeds = Some(number()?),
            "--seed" => self.seed = Some(number()?),
            "--minutes" => self.until = Some(Duration::from_mins(number()?)),
            "--world" => self.world = Some(form_of_a_world(value)?),
            _ => self.regressions = Some(value.into()),
        }
        Ok(())
    }
}

/// The same text, if it has the form of a world: `seed=N`, and then further words `name=value`.
fn form_of_a_world(text: &str) -> Result<String, String> {
    let mut words = text.split_whitespace();
    let seed = words.next().and_then(|word| word.strip_prefix("seed="));
    if seed.is_none_or(|seed| seed.parse::<u64>().is_err()) {
        return Err(format!(
            "`--world` begins with `seed=`, a number, and not with `{text}`"
        ));
    }
    match words.find(|word| !word.contains('=')) {
        Some(word) => Err(format!(
            "`--world` consists of `name=value`, and `{word}` is neither"
        )),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(arguments: &str, why: &str) {
        let arguments: Vec<_> = arguments
            .split(' ')
            .map(|it| it.replace('_', " "))
            .collect();
        let said = Asked::read(&arguments).expect_err("it is wrong");
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refuses("--sseds 3", "there is no `--sseds`");
        refuses("--seeds", "`--seeds` needs a value");
        refuses("--seeds many", "`many` is none");
        refuses("--trace", "shows one world");
        refuses("--trace --seed 1 --seeds 3", "shows one world");
        refuses("--planted --trace --seed 1", "shows one world");
        refuses("--planted --minutes 3", "for how long");
        refuses("--deaths --seed 1", "stands alone");
        refuses("--world seed=x", "begins with `seed=`");
        refuses("--world seed=1_ttl", "`ttl` is neither");
        refuses("--world seed=1 --planted", "one world or about many");
        refuses("--world seed=1 --seed 2", "one world or about many");
    }

    #[test]
    fn what_makes_sense_is_read() {
        let read = |text: &str| Asked::read(&text.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(read("--seed 7 --seeds 3").seed, Some(7));
        assert!(read("--planted").planted);
        assert_eq!(read("--minutes 2").until, Some(Duration::from_mins(2)));
        assert_eq!(read("--seed 7 --trace").world.as_deref(), Some("seed=7"));
    }
}
