//! Guards of a model, each removable, so that the suites themselves can be tested.

/// Declares the guards of one model: for each what it guards and which rules fail without it.
macro_rules! guards {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $guard:ident => [$($rule:ident),+ $(,)?],)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* $guard,)+
        }

        impl $name {
            /// Every guard.
            pub const ALL: &[Self] = &[$(Self::$guard),+];

            /// The rules that fail when this guard is gone.
            #[must_use]
            pub fn rules(self) -> &'static [&'static str] {
                match self {
                    $(Self::$guard => &[$(stringify!($rule)),+],)+
                }
            }
        }
    };
}

pub(crate) use guards;
