use super::*;

/// The value of an expression over columns `a`, `b`, ...: texts as a CSV file has them.
fn value(says: &str, cells: &[&str]) -> String {
    let derived = Derived { name: "x".into(), says: says.into(), markers: vec!["-9".into()] };
    let formula = Formula::new(&derived, &[]).unwrap_or_else(|e| panic!("{e}"));
    let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::Text(cell)).collect();
    let inputs: Vec<Cell<'_>> = formula.inputs.iter().map(|name| cells[(name.as_bytes()[0] - b'a') as usize]).collect();
    match formula.value(&inputs).cell() {
        Cell::Missing => "missing".into(),
        Cell::Other(why) => format!("fault: {why}"),
        Cell::Bool(value) => value.to_string(),
        cell => cell.name().map_or_else(|_| "?".into(), |name| name.into_owned()),
    }
}

#[test]
fn expressions_have_their_values() {
    let cases = [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3 - -1", "10"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 ^ 2", "-4"),
        ("7 % 4 + 1e1 / 4", "5.5"),
        ("a / b", "2.5"),
        ("a / 0", "missing"),
        ("ln(0 - a)", "missing"),
        ("sqrt(16) + abs(-1) + round(2.567, 1) + floor(1.9) + ceil(0.1)", "9.6"),
        ("min(a, b, 3) + max(a, b)", "7"),
        ("exp(0) + log(exp(1)) + log10(100) + pow(2, 3) + sign(-7)", "11"),
        ("a > b", "true"),
        ("a > 3 and b > 3 or not false", "true"),
        ("a = 5 and c = 'red'", "true"),
        ("c <> 'red' or c != 'red'", "false"),
        ("c in ('blue', 'red')", "true"),
        ("a not in (1, 2)", "true"),
        ("b between 2 and 4", "true"),
        ("d is null and c is not null", "true"),
        ("d + 1", "missing"),
        ("d > 1", "missing"),
        ("d > 1 or a > 1", "true"),
        ("e", "missing"),
        ("coalesce(d, e, a, 7)", "5"),
        ("coalesce(d, 'none')", "none"),
        ("if(d > 1, 'more', 'less')", "less"),
        ("case when a < 3 then 'low' when a < 6 then 'middle' else 'high' end", "middle"),
        ("case when a > 100 then 1 end", "missing"),
        ("c || '-' || a", "red-5"),
        ("concat(upper(c), lower('X'), trim(' y '))", "REDxy"),
        ("length(c) + 0", "3"),
        ("starts_with(c, 're') and ends_with(c, 'ed') and contains(c, 'e')", "true"),
        ("year(f) * 10000 + month(f) * 100 + day(f)", "20260302"),
        ("weekday(f) + hour(f) / 10", "0.6"),
        ("days(f) - days('2026-03-01')", "missing"),
        ("`a` + \"b\"", "7"),
        ("'it''s'", "it's"),
        ("a", "5"),
        ("c + 1", "fault: made of something that is no number"),
        ("year(c)", "fault: made of something that is no date"),
        ("true and (a > 1) = true", "true"),
    ];
    for (says, expected) in cases {
        let found = value(says, &["5", "2", "red", "", "-9", "2026-03-02 06:00:00"]);
        assert_eq!(found, expected, "{says}");
    }
}

#[test]
fn wrong_expressions_are_told_with_their_place() {
    let cases = [
        ("a / * b", 5, "a value is wanted here, not `*`"),
        ("a b", 3, "an operator or the end is wanted here, not `b`"),
        ("(a", 3, "`)` is wanted here, not the end"),
        ("", 1, "a value is wanted here, not the end"),
        ("lenght(a)", 1, "did you mean `length`"),
        ("pow(a)", 1, "`pow` takes 2 arguments, not 1"),
        ("min(a)", 1, "takes 2 or more"),
        ("'x' + 1", 5, "a number is wanted here, not a text"),
        ("a and 3", 3, "true or false is wanted here"),
        ("if(a, 1, 'x')", 1, "one value is a number, another is a text"),
        ("a = 'x", 5, "never closed"),
        ("1.2.3", 1, "`1.2.3` is no number"),
        ("a ; b", 3, "`;` means nothing here"),
        ("case a end", 6, "`when` is wanted"),
        ("a is 3", 6, "`null` is wanted"),
        ("and", 1, "a value is wanted here, not `and`"),
        ("ä + ü ?", 7, "`?` means nothing here"),
    ];
    for (says, at, what) in cases {
        let wrong = check(says, &BTreeMap::new()).expect_err(says);
        assert!(wrong.at == at && wrong.what.contains(what), "{says}: {wrong:?}");
    }
    let deep = format!("{}1{}", "(".repeat(10_000 / 3), ")".repeat(10_000 / 3));
    assert!(check(&deep, &BTreeMap::new()).expect_err("deep").what.contains("deeply"));
    assert!(check(&"-".repeat(9000), &BTreeMap::new()).is_err());
    assert!(check(&"not ".repeat(2400), &BTreeMap::new()).is_err());
}

#[test]
fn derived_columns_build_on_each_other_but_not_on_themselves() {
    let of = |name: &str, says: &str| Derived { name: name.into(), says: says.into(), markers: Vec::new() };
    let all = [of("half", "a / 2"), of("quarter", "half / 2"), of("p", "q + 1"), of("q", "p + 1")];
    let formula = Formula::new(&all[1], &all).expect("it builds on another");
    assert_eq!(formula.inputs, ["a"]);
    assert_eq!(formula.value(&[Cell::Integer(8)]).cell(), Cell::Number(2.0));
    let told = Formula::new(&all[2], &all).expect_err("a circle").to_string();
    assert!(told.contains("made of itself") && told.contains("data.derive.p"), "{told}");
}
