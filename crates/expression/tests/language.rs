//! What expressions give, one line each: `check(expression, data, expected)`.

mod check;

use check::{check, check_lenient, code_of, value};
use serde_json::json;

fn document() -> serde_json::Value {
    json!({ "json": {
        "id": "ord_1", "total": 249.9, "tax": 41.65, "count": 3, "none": null, "big": 9_007_199_254_740_993_i64,
        "customer": { "name": "Ada Lovelace", "phone": null, "address": { "city": "London" } },
        "items": [
            { "name": "pen", "qty": 1, "price": 89.5, "taxable": true },
            { "name": "ink", "qty": 2, "price": 12.25, "taxable": false },
        ],
        "first name": "Ada",
    } })
}

macro_rules! cases {
    ($($name:ident { $($expr:expr => $expected:tt;)* })*) => {$(
        #[test]
        fn $name() {
            $(check($expr, &document(), &json!($expected));)*
        }
    )*};
}

cases! {
    paths_reach_into_the_data {
        "$json.customer.address.city" => "London";
        "$json['first name']" => "Ada";
        "$json.items[1].name" => "ink";
        "$json.items['1'].name" => "ink";
        "$json.items.length" => 2;
        "$json.id.length" => 5;
        "$json.id[0]" => "o";
        "$json.none?.x ?? 'n/a'" => "n/a";
        "$json.missing?.a.b.c ?? 1" => 1;
        "$json.missing?.a[$json.count] ?? 1" => 1;
        "$json.big" => 9_007_199_254_740_993_i64;
        "[$json.big]" => [9_007_199_254_740_993_i64];
        "$json.big - 0" => 9_007_199_254_740_992_i64;
        "`${$json.big}`" => "9007199254740993";
        "JSON.stringify({ a: $json.big })" => "{\"a\":9007199254740993}";
    }
    literals_have_their_value {
        "1" => 1; "1.5" => 1.5; ".5" => 0.5; "5." => 5; "1e3" => 1000; "1_000" => 1000;
        "0x1F" => 31; "0b101" => 5; "0o17" => 15;
        "'a'" => "a"; "\"it's\"" => "it's"; r"'\n\t\x41\u0042\u{43}\''" => "\n\tABC'";
        r"'\ud83d\ude00'" => "😀"; r"'\ud83d'" => "\u{fffd}"; "'a\\\nb'" => "ab";
        "`a${1 + 1}b`" => "a2b"; "`a${`b${1}`}`" => "ab1"; r"`\``" => "`"; "`$ {`" => "$ {";
        "[1, 'a', null]" => [1, "a", null]; "[1, , 2]" => [1, null, 2]; "[...[1], ...'ab']" => [1, "a", "b"];
        "{ a: 1, 'b c': 2, [`d${1}`]: 3 }" => { "a": 1, "b c": 2, "d1": 3 };
        "{ ...$json.customer.address, x: 1 }" => { "city": "London", "x": 1 };
        "{ a: undefined, b: [undefined] }" => { "b": [null] };
        "({ a: 1 }).a" => 1; "{ a: 1, a: 2 }" => { "a": 2 };
        "null" => null; "true" => true; "NaN" => null; "Infinity" => null;
        "Object.keys({ b: 1, 2: 1, 1: 1 }).join()" => "1,2,b";
        "[1, // comment\n 2 /* and */]" => [1, 2];
    }
    operators_are_javascripts {
        "$json.total * 1.2 + $json.tax" => 341.53; "1 + '1'" => "11"; "'3' * '4'" => 12; "1 - 'a'" => null;
        "7 % 3" => 1; "-7 % 3 + ''" => "-1"; "2 ** 3 ** 2" => 512; "(-2) ** 2" => 4;
        "5 & 3" => 1; "5 | 3" => 7; "5 ^ 3" => 6; "~5 + ''" => "-6"; "1 << 33" => 2; "-1 >>> 28" => 15; "-8 >> 1 == -4" => true;
        "1 < 2" => true; "'10' < '9'" => true; "'10' < 9" => false; "null >= 0" => true; "undefined < 1" => false;
        "1 == '1'" => true; "null == undefined" => true; "null == 0" => false; "'' == 0" => true; "[1] == 1" => true;
        "1 === '1'" => false; "NaN !== NaN" => true; "[] === []" => false; "$json.items === $json.items" => true;
        "!''" => true; "!!'a'" => true; "+'12'" => 12; "-'3' + 4" => 1; "+[]" => 0; "+{}" => null;
        "typeof 1" => "number"; "typeof 'a'" => "string"; "typeof null" => "object"; "typeof undefined" => "undefined";
        "typeof []" => "object"; "typeof Math.floor" => "function"; "void 0 ?? 'u'" => "u";
        "'a' in { a: 1 }" => true; "1 in [1]" => false; "0 in [1]" => true;
        "1 && 0" => 0; "'' || 'b'" => "b"; "0 ?? 1" => 0; "null ?? undefined ?? 3" => 3; "(null ?? 0) || 4" => 4;
        "1 ? 2 : 3" => 2; "0 ? 1 : '' ? 2 : 3" => 3; "1 ?.5 : 2" => 0.5;
        "1 + 2 + 'a' + 1 + 2" => "3a12"; "'a' + [1, [2, 3]] + {} + null + undefined" => "a1,2,3[object Object]nullundefined";
        "10 - 2 - 3" => 5; "2 + 3 * 4" => 14; "(2 + 3) * 4" => 20; "1 / 3" => 0.3333333333333333;
        "0.1 + 0.2 + ''" => "0.30000000000000004"; "1e21 + ''" => "1e+21"; "1e-7 + ''" => "1e-7"; "123456789012345680000 + ''" => "123456789012345680000";
        "-0 + ''" => "0"; "1 / 0 + ''" => "Infinity"; "`${-1 / 0}`" => "-Infinity";
    }
}

#[test]
fn undefined_is_no_value() {
    assert_eq!(value("$json.missing", &document()), Ok(None));
    assert_eq!(value("undefined", &document()), Ok(None));
}

#[test]
fn a_member_of_nothing_is_an_error_in_strict_mode_only() {
    assert_eq!(code_of("$json.missing.a", &document()), "PATH_OF_NULLISH");
    assert_eq!(code_of("$json.none.a", &document()), "PATH_OF_NULLISH");
    assert_eq!(code_of("$item.a", &document()), "PATH_OF_NULLISH");
    check_lenient("$json.missing.a ?? 1", &document(), &json!(1));
    check_lenient("$json.missing.a.trim().length ?? 1", &document(), &json!(1));
}

#[test]
fn comments_stand_anywhere_between_tokens() {
    let data = serde_json::Value::Null;
    check("((a, // it's )\n b = 2) => a + b)(1)", &data, &json!(3));
    check("((a, /* ' */ b) => a + b)(1, 1)", &data, &json!(2));
}
