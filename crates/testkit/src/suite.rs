//! How a list of rules becomes tests in a driver, and a table for the tests of the suite itself.

/// Makes `RULES`, the table of a suite: each rule with its name.
macro_rules! rule_table {
    (($port:ty) $($rule:ident,)+) => {
        /// One rule, ready to run.
        pub type Rule = fn(std::sync::Arc<$port>, std::sync::Arc<crate::ManualClock>) -> nebula_core::BoxFuture<'static, ()>;

        /// Every rule with its name, in the order of the contract.
        pub const RULES: &[(&str, Rule)] = &[
            $((stringify!($rule), |port, clock| Box::pin(async move { $rule(&port, &clock).await })),)+
        ];

        /// Runs one rule on what `make` makes.
        ///
        /// # Panics
        /// When the rule does not hold.
        pub fn check<M: Future<Output = std::sync::Arc<$port>>>(
            make: impl FnOnce(std::sync::Arc<crate::ManualClock>) -> M,
            rule: Rule,
        ) {
            let clock = std::sync::Arc::new(crate::ManualClock::default());
            crate::run(async {
                let port = make(std::sync::Arc::clone(&clock)).await;
                rule(port, clock).await;
            });
        }
    };
}

pub(crate) use rule_table;

/// Makes one named test for each rule of a suite; `execution_repo!` and its like call it.
#[doc(hidden)]
#[macro_export]
macro_rules! rule_tests {
    (($suite:ident, $make:expr) $($rule:ident,)+) => {
        $crate::rule_tests! { ($suite, true, $make) $($rule,)+ }
    };
    (($suite:ident, $there:expr, $make:expr) $($rule:ident,)+) => {
        mod $suite {
            #[allow(unused_imports, reason = "the expression may need what its file imports, or nothing")]
            use super::*;

            $(
                #[test]
                fn $rule() {
                    if !$there {
                        return;
                    }
                    $crate::$suite::check($make, |port, clock| {
                        Box::pin(async move { $crate::$suite::$rule(&port, &clock).await })
                    });
                }
            )+
        }
    };
}
