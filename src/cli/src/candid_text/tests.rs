//! Held against the printer of `candid`, which is another program, and against what people get wrong.

use super::{Wrong, encode, read, read_as, show, write};
use candid::{CandidType, Int, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[derive(Debug, Clone, PartialEq, CandidType, Deserialize)]
struct All {
    text: String,
    nat: Nat,
    int: Int,
    small: u8,
    float: f64,
    blob: ByteBuf,
    who: Principal,
    list: Vec<Option<u16>>,
    kind: Kind,
    maybe: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, CandidType, Deserialize)]
enum Kind {
    Plain,
    With { seconds: u64 },
}

fn all() -> All {
    All {
        text: "a \"quoted\" \\ line\nand é".to_owned(),
        nat: Nat::from(u128::MAX),
        int: Int::from(-5),
        small: 255,
        float: -1.5,
        blob: ByteBuf::from([0, 10, 34, 92, 255]),
        who: Principal::management_canister(),
        list: vec![Some(1), None],
        kind: Kind::With { seconds: 7 },
        maybe: None,
    }
}

#[test]
fn what_candid_prints_is_read_as_the_same_value() {
    for value in [all(), All { kind: Kind::Plain, maybe: Some(true), ..all() }] {
        let text = write(&value).expect("it is printed");
        assert_eq!(read_as::<All>(&text).as_ref(), Ok(&value), "{text}");
        let bytes = candid::encode_one(&value).expect("it encodes");
        // Without names, as whoever has no interface sees it.
        assert_eq!(read_as::<All>(&show(&bytes)), Ok(value));
    }
}

#[test]
fn people_write_less_than_the_printer_does() {
    let text = r#"( // the value
        record {
          small = 0xff; nat = 340_282_366_920_938_463_463_374_607_431_768_211_455; int = -5;
          text = "a \"quoted\" \\ line\nand \u{e9}"; /* in any order */
          float = -1.5; blob = blob "\00\0a\"\5c\ff"; who = principal "aaaaa-aa";
          list = vec { opt 1; null }; kind = variant { With = record { seconds = 7 : nat64 } }
        }, )"#;
    assert_eq!(read_as::<All>(text), Ok(all()));
    let tuple: Result<(u8, String), Wrong> = read_as("(record { 1; \"a\" })");
    assert_eq!(tuple, Ok((1, "a".to_owned())));
}

#[test]
fn arguments_are_encoded_as_they_stand() {
    for (text, bytes) in [
        ("()", candid::encode_args(()).expect("it encodes")),
        ("(5 : nat64, \"a\")", candid::encode_args((5_u64, "a")).expect("it encodes")),
        ("(5)", candid::encode_one(Int::from(5)).expect("it encodes")),
        ("(vec { 1 : nat8; 2 : nat8 })", candid::encode_one(vec![1_u8, 2]).expect("it encodes")),
        ("(blob \"\\01\\02\")", candid::encode_one(vec![1_u8, 2]).expect("it encodes")),
        ("(1.5, true, null)", candid::encode_args((1.5, true, ())).expect("it encodes")),
    ] {
        assert_eq!(encode(text).map(hex::encode), Ok(hex::encode(bytes)), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_where_in_the_value_it_is() {
    let whole = write(&all()).expect("it is printed");
    let on_lines = whole.replace("; ", ";\n");
    for (from, to, words) in [
        ("small = 255", "smal = 255", "there is no field smal here, but "),
        ("small = 255", "small = 256", "small: 256 is no nat8: it is too large"),
        ("small = 255 : nat8;\n", "", "the field small is missing"),
        ("small = 255", "small = \"255\"", "small"),
        ("seconds = 7", "seconds = -7", "kind.seconds: -7 is no nat64"),
        ("With = ", "Without = ", "there is no case Without here, but "),
        ("maybe = null", "maybe = true", "maybe: opt bool is expected: write `opt`"),
        ("\"aaaaa-aa\"", "\"aaaaa\"", "is no principal"),
        ("small = 255", "small = 2x5", "2x5 is no number"),
        ("small = 255 : nat8", "small = 255 : nat9", "\"nat9\" is no type"),
    ] {
        assert!(on_lines.contains(from), "{from} is in {on_lines}");
        let wrong = read_as::<All>(&on_lines.replacen(from, to, 1)).expect_err(to);
        let line =
            on_lines.lines().position(|line| line.contains(from.trim_end())).map_or(1, |line| line + 1);
        assert!(wrong.what.contains(words), "{to}: {wrong}");
        assert!(to.is_empty() || wrong.line == line, "{to} is in line {line}: {wrong}");
    }
    for (text, words) in [
        ("", "line 1: \"(\" is missing at the end"),
        ("(\n1", "line 2: \",\" or \")\" is missing at the end"),
        ("(1) 2", "line 1: something follows"),
        ("(\"a\n", "line 1: what begins with a quotation mark does not end"),
        ("(/* a\n)", "line 1: a comment does not end"),
        ("(\n\nmaybe 1)", "line 3: no value begins at \"maybe\""),
        ("(record { a = 1;\n a = 2 })", "line 2: a is there twice"),
        ("(\"\\x\")", "line 1: \\x is no escape"),
    ] {
        assert!(read(text).expect_err(text).to_string().contains(words), "{text}: {:?}", read(text));
    }
    assert!(read(&format!("({}1", "opt ".repeat(200))).expect_err("it is deep").what.contains("100 times"));
}
