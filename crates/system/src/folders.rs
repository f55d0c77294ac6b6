//! Where the user's data and settings live.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::variable;

/// Names one folder for everything, in place of the platform's own places.
pub const HOME_VARIABLE: &str = "NEBULA_HOME";

/// Whose conventions name the folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// The XDG Base Directory Specification, version 0.8: Linux and other Unix systems.
    Xdg,
    /// `~/Library/Application Support`.
    Mac,
    /// `%LOCALAPPDATA%` and `%APPDATA%`.
    Windows,
}

impl Platform {
    /// The platform that this build is for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::Mac
    } else {
        Self::Xdg
    };
}

/// The user's folders for Nebula. They need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Databases and blobs. Absolute.
    pub data: PathBuf,
    /// Settings and remembered grants. Absolute.
    pub config: PathBuf,
}

/// The environment names no place for the user's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldersError {
    /// [`HOME_VARIABLE`] is a relative path, which would mean another folder in every directory.
    #[error("{HOME_VARIABLE} is `{0}`; set it to an absolute path")]
    Relative(PathBuf),
    /// None of the platform's variables is set.
    #[error("none of {HOME_VARIABLE}, {0} names a folder; set one of them to an absolute path")]
    NoHome(&'static str),
}

impl Folders {
    /// The folders of the user who runs this process.
    ///
    /// # Errors
    /// [`FoldersError`]: the environment names no usable place.
    pub fn of_user() -> Result<Self, FoldersError> {
        Self::from_variables(Platform::HERE, variable)
    }

    /// The same from any environment: `variable` gives the value of a variable that is set.
    ///
    /// [`HOME_VARIABLE`] goes before the platform's variables; below it lie `data` and `config`.
    /// As the XDG specification says, a relative path in one of its variables is as good as none.
    ///
    /// # Errors
    /// [`FoldersError`]: the environment names no usable place.
    pub fn from_variables(
        platform: Platform,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, FoldersError> {
        if let Some(home) = variable(HOME_VARIABLE).map(PathBuf::from) {
            if !home.is_absolute() {
                return Err(FoldersError::Relative(home));
            }
            return Ok(Self::below(&home));
        }
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let below_home = |rest: &str| absolute("HOME").map(|home| home.join(rest));
        let either = |name: &'static str, fallback: &str, missing: &'static str| {
            let base = absolute(name).or_else(|| below_home(fallback));
            base.ok_or(FoldersError::NoHome(missing))
        };
        match platform {
            Platform::Xdg => Ok(Self {
                data: either("XDG_DATA_HOME", ".local/share", "XDG_DATA_HOME, HOME")?
                    .join("nebula"),
                config: either("XDG_CONFIG_HOME", ".config", "XDG_CONFIG_HOME, HOME")?
                    .join("nebula"),
            }),
            Platform::Mac => {
                let support = below_home("Library/Application Support/Nebula");
                let support = support.ok_or(FoldersError::NoHome("HOME"))?;
                Ok(Self::below(&support))
            }
            Platform::Windows => {
                let named = |name: &'static str| absolute(name).ok_or(FoldersError::NoHome(name));
                Ok(Self {
                    data: named("LOCALAPPDATA")?.join("Nebula").join("data"),
                    config: named("APPDATA")?.join("Nebula").join("config"),
                })
            }
        }
    }

    fn below(folder: &Path) -> Self {
        Self {
            data: folder.join("data"),
            config: folder.join("config"),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn check(
        platform: Platform,
        environment: &[(&str, &str)],
        expected: Result<(&str, &str), &str>,
    ) {
        let variable = |name: &str| {
            let set = environment.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| OsString::from(value))
        };
        let found = Folders::from_variables(platform, variable);
        let expected = expected.map(|(data, config)| Folders {
            data: data.into(),
            config: config.into(),
        });
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn linux_follows_xdg() {
        let home = ("HOME", "/home/ada");
        check(
            Platform::Xdg,
            &[home],
            Ok(("/home/ada/.local/share/nebula", "/home/ada/.config/nebula")),
        );
        check(
            Platform::Xdg,
            &[
                home,
                ("XDG_DATA_HOME", "/d"),
                ("XDG_CONFIG_HOME", "relative"),
            ],
            Ok(("/d/nebula", "/home/ada/.config/nebula")),
        );
    }

    #[test]
    fn mac_and_windows_follow_their_own() {
        check(
            Platform::Mac,
            &[("HOME", "/Users/ada"), ("XDG_DATA_HOME", "/d")],
            Ok((
                "/Users/ada/Library/Application Support/Nebula/data",
                "/Users/ada/Library/Application Support/Nebula/config",
            )),
        );
        check(
            Platform::Windows,
            &[("LOCALAPPDATA", "/local"), ("APPDATA", "/roaming")],
            Ok(("/local/Nebula/data", "/roaming/Nebula/config")),
        );
    }

    #[test]
    fn one_variable_moves_everything() {
        for platform in [Platform::Xdg, Platform::Mac, Platform::Windows] {
            let environment = [(HOME_VARIABLE, "/n"), ("HOME", "/home/ada")];
            check(platform, &environment, Ok(("/n/data", "/n/config")));
        }
    }

    #[test]
    fn without_a_place_the_error_names_what_to_set() {
        check(
            Platform::Xdg,
            &[],
            Err(
                "none of NEBULA_HOME, XDG_DATA_HOME, HOME names a folder; set one of them to an absolute path",
            ),
        );
        check(
            Platform::Xdg,
            &[(HOME_VARIABLE, "here")],
            Err("NEBULA_HOME is `here`; set it to an absolute path"),
        );
        check(
            Platform::Windows,
            &[("HOME", "/home/ada")],
            Err(
                "none of NEBULA_HOME, LOCALAPPDATA names a folder; set one of them to an absolute path",
            ),
        );
    }
}
