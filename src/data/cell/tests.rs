use super::*;

#[test]
fn numbers() {
    let good = [("1", 1.0), (" -2.5e1 ", -25.0), ("TRUE", 1.0), ("false", 0.0)];
    for (text, number) in good {
        assert_eq!(Cell::Text(text).number(), Ok(number));
    }
    for missing in [Cell::Text("NA"), Cell::Text(""), Cell::Text("nan"), Cell::Missing, Cell::Number(f64::NAN)] {
        assert_eq!(missing.number(), Err(Fault::Missing));
        assert!(missing.is_missing(&[]));
    }
    for bad in [Cell::Text("abc"), Cell::Text("inf"), Cell::Number(1e300), Cell::Other("a list")] {
        assert!(matches!(bad.number(), Err(Fault::Bad(..))), "{bad:?}");
    }
    assert!(MISSING.iter().all(|word| Cell::Text(word).is_missing(&[])));
    let markers = ["-999".to_owned()];
    assert!(Cell::Integer(-999).is_missing(&markers) && Cell::Text(" -999").is_missing(&markers));
    assert!(!Cell::Integer(-998).is_missing(&markers));
}

#[test]
fn classes() {
    let good = [(Cell::Text(" a b"), "a b"), (Cell::Text("NA"), "NA"), (Cell::Number(5.0), "5")];
    for (cell, name) in good {
        assert_eq!(cell.class().as_deref(), Ok(name));
    }
    assert_eq!(Cell::Integer(-3).class().as_deref(), Ok("-3"));
    assert_eq!(Cell::Text("3.5").class(), Err(Fault::NoClass("3.5".into())));
    assert_eq!(Cell::Text(" ").class(), Err(Fault::Missing));
    assert_eq!(Cell::Other("a list").class(), Err(Fault::NoClass("a list".into())));
}

#[test]
fn booleans() {
    for (text, value) in [("Yes", true), ("n", false), ("1", true), (" FALSE ", false)] {
        assert_eq!(Cell::Text(text).boolean(), Ok(value));
    }
    assert!(Cell::Text("2").boolean().is_err() && Cell::Integer(2).boolean().is_err());
    assert!(Cell::Text("no").is_boolean() && !Cell::Text("0").is_boolean() && !Cell::Integer(1).is_boolean());
}

#[test]
fn dates() {
    const DAY: i64 = 86_400_000_000;
    for text in ["1970-01-02", "1970/01/02", "1970-01-02T00:00:00", "1970-01-02 00:00", "1970-01-02T02:00:00+02:00"] {
        assert_eq!(Cell::Text(text).time(None), Ok(DAY), "{text}");
    }
    assert_eq!(Cell::Text("02.01.1970").time(Some("%d.%m.%Y")), Ok(DAY));
    assert_eq!(Cell::Integer(19700102).time(Some("%Y%m%d")), Ok(DAY));
    for bad in ["1970-13-02", "12:30", "1970", "yesterday"] {
        assert!(Cell::Text(bad).time(None).is_err(), "{bad}");
    }
    assert_eq!(date(DAY), "1970-01-02 00:00:00");
}
