use super::*;

fn domain(text: &str) -> Result<Domain, Unsound> {
    toml::from_str::<Dimension>(text).unwrap().domain()
}

#[test]
fn every_kind_of_range_is_read() {
    let range = |text: &str| match domain(text).unwrap() {
        Domain::Range(range) => range,
        Domain::Choice(_) => unreachable!(),
    };
    let plain = Range { low: 0.0, high: 0.5, log: false, whole: false, points: None };
    assert_eq!(range("uniform = [0.0, 0.5]"), plain);
    assert_eq!(range("log = [1e-4, 1]"), Range { low: 1e-4, high: 1.0, log: true, ..plain });
    assert_eq!(range("int = [16, 256]\nlog = true"), Range { low: 16.0, high: 256.0, log: true, whole: true, ..plain });
    let stepped = range("uniform = [0.0, 1.0]\nstep = 0.3");
    assert_eq!((stepped.points, (stepped.high * 10.0).round()), (Some(4), 9.0));
    assert_eq!(range("int = [1, 9]\nstep = 4").points, Some(3));
    assert_eq!(domain("choice = [[64], [128, 64]]").unwrap(), {
        let layers = |widths: &[i64]| Value::Array(widths.iter().copied().map(Value::Integer).collect());
        Domain::Choice(vec![layers(&[64]), layers(&[128, 64])])
    });
}

#[test]
fn what_is_no_range_says_which_key() {
    for (text, key) in [
        ("", ""),
        ("uniform = [0.0, 1.0]\nchoice = [1]", ""),
        ("uniform = [1.0, 0.0]", "uniform"),
        ("log = [0.0, 1.0]", "log"),
        ("log = [1.0]", "log"),
        ("log = true", ""),
        ("int = [0, 8]\nlog = true", "int"),
        ("int = [0, 8]\nlog = 3", "log"),
        ("int = [0, 8]\nstep = 0.5", "step"),
        ("int = [0, 8]\nstep = 9", "step"),
        ("uniform = [0.0, 1.0]\npoints = 1", "points"),
        ("uniform = [0.0, 1.0]\npoints = 3\nstep = 0.1", "step"),
        ("choice = []", "choice"),
        ("choice = [1, 1]", "choice"),
        ("choice = [1, 2]\nlog = true", "log"),
    ] {
        assert_eq!(domain(text).unwrap_err().0, key, "{text}");
    }
}
