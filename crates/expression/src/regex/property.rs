//! `\p{…}`: the properties of Unicode that ECMA-262 lists.
//!
//! The tables are those of `regex-syntax`; which names may be written, and how exactly, is
//! ECMA-262's rule: no loose matching.

use regex_syntax::hir::{Class, HirKind};

use super::set::{CharSet, LAST};

/// Binary properties by long and short name; `Changes_When_NFKC_Casefolded` has no table.
const BINARY: &[(&str, &str)] = &[
    ("ASCII_Hex_Digit", "AHex"),
    ("Alphabetic", "Alpha"),
    ("Bidi_Control", "Bidi_C"),
    ("Bidi_Mirrored", "Bidi_M"),
    ("Case_Ignorable", "CI"),
    ("Cased", "Cased"),
    ("Changes_When_Casefolded", "CWCF"),
    ("Changes_When_Casemapped", "CWCM"),
    ("Changes_When_Lowercased", "CWL"),
    ("Changes_When_Titlecased", "CWT"),
    ("Changes_When_Uppercased", "CWU"),
    ("Dash", "Dash"),
    ("Default_Ignorable_Code_Point", "DI"),
    ("Deprecated", "Dep"),
    ("Diacritic", "Dia"),
    ("Emoji", "Emoji"),
    ("Emoji_Component", "EComp"),
    ("Emoji_Modifier", "EMod"),
    ("Emoji_Modifier_Base", "EBase"),
    ("Emoji_Presentation", "EPres"),
    ("Extended_Pictographic", "ExtPict"),
    ("Extender", "Ext"),
    ("Grapheme_Base", "Gr_Base"),
    ("Grapheme_Extend", "Gr_Ext"),
    ("Hex_Digit", "Hex"),
    ("IDS_Binary_Operator", "IDSB"),
    ("IDS_Trinary_Operator", "IDST"),
    ("ID_Continue", "IDC"),
    ("ID_Start", "IDS"),
    ("Ideographic", "Ideo"),
    ("Join_Control", "Join_C"),
    ("Logical_Order_Exception", "LOE"),
    ("Lowercase", "Lower"),
    ("Math", "Math"),
    ("Noncharacter_Code_Point", "NChar"),
    ("Pattern_Syntax", "Pat_Syn"),
    ("Pattern_White_Space", "Pat_WS"),
    ("Quotation_Mark", "QMark"),
    ("Radical", "Radical"),
    ("Regional_Indicator", "RI"),
    ("Sentence_Terminal", "STerm"),
    ("Soft_Dotted", "SD"),
    ("Terminal_Punctuation", "Term"),
    ("Unified_Ideograph", "UIdeo"),
    ("Uppercase", "Upper"),
    ("Variation_Selector", "VS"),
    ("White_Space", "space"),
    ("XID_Continue", "XIDC"),
    ("XID_Start", "XIDS"),
];

/// General categories by short and long name, and what else a name is.
const CATEGORIES: &[&[&str]] = &[
    &["LC", "Cased_Letter"],
    &["Pe", "Close_Punctuation"],
    &["Pc", "Connector_Punctuation"],
    &["Cc", "Control", "cntrl"],
    &["Sc", "Currency_Symbol"],
    &["Pd", "Dash_Punctuation"],
    &["Nd", "Decimal_Number", "digit"],
    &["Me", "Enclosing_Mark"],
    &["Pf", "Final_Punctuation"],
    &["Cf", "Format"],
    &["Pi", "Initial_Punctuation"],
    &["L", "Letter"],
    &["Nl", "Letter_Number"],
    &["Zl", "Line_Separator"],
    &["Ll", "Lowercase_Letter"],
    &["M", "Mark", "Combining_Mark"],
    &["Sm", "Math_Symbol"],
    &["Lm", "Modifier_Letter"],
    &["Sk", "Modifier_Symbol"],
    &["Mn", "Nonspacing_Mark"],
    &["N", "Number"],
    &["Ps", "Open_Punctuation"],
    &["C", "Other"],
    &["Lo", "Other_Letter"],
    &["No", "Other_Number"],
    &["Po", "Other_Punctuation"],
    &["So", "Other_Symbol"],
    &["Zp", "Paragraph_Separator"],
    &["Co", "Private_Use"],
    &["P", "Punctuation", "punct"],
    &["Z", "Separator"],
    &["Zs", "Space_Separator"],
    &["Mc", "Spacing_Mark"],
    &["Cs", "Surrogate"],
    &["S", "Symbol"],
    &["Lt", "Titlecase_Letter"],
    &["Cn", "Unassigned"],
    &["Lu", "Uppercase_Letter"],
];

/// The set of a property as it stands between the braces; `None` if there is none.
pub(super) fn property(written: &str) -> Option<CharSet> {
    match written.split_once('=') {
        Some(("General_Category" | "gc", value)) => category(value),
        Some(("Script" | "sc", value)) => script("sc", value),
        Some(("Script_Extensions" | "scx", value)) => script("scx", value),
        Some(_) => None,
        None => match written {
            "Any" => Some(CharSet::new([(0, LAST)])),
            "ASCII" => Some(CharSet::new([(0, 0x7f)])),
            "Assigned" => category("Cn").map(|none| none.complement()),
            name => category(name).or_else(|| binary(name)),
        },
    }
}

fn category(name: &str) -> Option<CharSet> {
    let known = CATEGORIES.iter().find(|names| names.contains(&name))?;
    const SURROGATES: (u32, u32) = (0xd800, 0xdfff);
    let mut set = match known[0] {
        "Cs" => return Some(CharSet::new([SURROGATES])),
        "LC" => {
            let mut set = table("Lu")?;
            set.add_loose(table("Ll")?.ranges());
            set.add_loose(table("Lt")?.ranges());
            set.tidy();
            set
        }
        short => table(&format!("gc={short}"))?,
    };
    if known[0] == "C" {
        set.add([SURROGATES]);
    }
    Some(set)
}

fn binary(name: &str) -> Option<CharSet> {
    let (long, _) = BINARY
        .iter()
        .find(|(long, short)| *long == name || *short == name)?;
    match *long {
        "White_Space" | "Alphabetic" | "Lowercase" | "Uppercase" => table(long),
        long => table(long).or_else(|| beyond_tables(long)),
    }
}

/// The few that `regex-syntax` has no table for.
fn beyond_tables(long: &str) -> Option<CharSet> {
    let ranges: &[(u32, u32)] = match long {
        "Noncharacter_Code_Point" => {
            let planes = (0..=0x10).map(|plane| (plane << 16 | 0xfffe, plane << 16 | 0xffff));
            return Some(CharSet::new(planes.chain([(0xfdd0, 0xfdef)])));
        }
        "IDS_Binary_Operator" => &[(0x2ff0, 0x2ff1), (0x2ff4, 0x2ffd), (0x31ef, 0x31ef)],
        _ => return None,
    };
    Some(CharSet::new(ranges.iter().copied()))
}

fn script(kind: &str, name: &str) -> Option<CharSet> {
    // Written as Unicode writes it: `Greek`, `Old_Italic`, `Grek`; a table takes any writing.
    let plain = name
        .split('_')
        .all(|part| matches!(part.as_bytes(), [b'A'..=b'Z', rest @ ..] if rest.iter().all(u8::is_ascii_lowercase)));
    if !plain && !matches!(name, "Nko" | "SignWriting" | "Phags_Pa") {
        return None;
    }
    table(&format!("{kind}={name}"))
}

fn table(name: &str) -> Option<CharSet> {
    let parsed = regex_syntax::parse(&format!(r"\p{{{name}}}")).ok()?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(CharSet::new(
            class
                .ranges()
                .iter()
                .map(|range| (range.start().into(), range.end().into())),
        )),
        // A class of one character is a literal.
        HirKind::Literal(literal) => {
            let c = str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(CharSet::of(c.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_property_has_a_table() {
        let missing: Vec<_> = BINARY
            .iter()
            .flat_map(|(long, short)| [*long, *short])
            .chain(CATEGORIES.iter().flat_map(|names| names.iter().copied()))
            .filter(|name| property(name).is_none())
            .collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn names_are_taken_as_they_are_written_in_the_standard() {
        assert!(property("Script=Greek").unwrap().contains(0x3b1));
        assert!(property("scx=Grek").unwrap().contains(0x3b1));
        assert!(property("Lu").unwrap().contains(0x41));
        assert!(property("gc=Cs").unwrap().contains(0xdc00));
        assert!(property("Any").unwrap().contains(LAST));
        for wrong in [
            "lu",
            "greek",
            "Script=greek",
            "Script",
            "gc=Foo",
            "IsGreek",
            "InBasic",
            "Block=Basic_Latin",
            "",
            "ASCII=Y",
        ] {
            assert_eq!(property(wrong), None, "{wrong}");
        }
    }
}
