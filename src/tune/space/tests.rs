use proptest::prelude::*;

use super::*;

pub(super) fn space(text: &str) -> Space {
    Space::new(&TuneConfig { space: toml::from_str(text).unwrap(), ..TuneConfig::default() }).unwrap()
}

const MIXED: &str = "'a' = { log = [1e-4, 1e-1] }\n'b' = { uniform = [0.0, 0.5], step = 0.1 }\n\
                     'c' = { int = [16, 256], log = true }\n'd' = { choice = [[64], [128, 64]] }\n\
                     'e' = { int = [-3, 3] }\n'f' = { log = [1.0, 100.0], points = 3 }\n";

#[test]
fn values_are_toml_of_the_right_kind() {
    let space = space(MIXED);
    let at = |x: f64| {
        space.values(
            &space
                .0
                .iter()
                .map(|dim| {
                    Some(match dim.axis() {
                        Axis::Kinds(count) => (x * count as f64).floor().min(count as f64 - 1.0),
                        Axis::Line { .. } => x,
                    })
                })
                .collect(),
        )
    };
    let shown = |values: &Values| values.values().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(shown(&at(0.0)), "0.0001 0.0 16 [64] -3 1.0");
    assert_eq!(shown(&at(0.5)), "0.0031623 0.3 63 [128, 64] 0 10.0");
    assert_eq!(shown(&at(1.0)), "0.1 0.5 256 [128, 64] 3 100.0");
}

#[test]
fn a_grid_has_every_combination_once() {
    let space = space(
        "'k' = { choice = ['x', 'y'] }\n'n' = { int = [1, 3] }\n'w' = { uniform = [0.0, 1.0], points = 2, when = { k = 'y' } }",
    );
    let grid = space.grid();
    assert_eq!(space.size(), Some(12));
    assert_eq!(grid.len(), 3 + 6, "{grid:?}");
    let distinct: BTreeSet<_> = grid.iter().collect();
    assert_eq!(distinct.len(), grid.len());
    assert!(grid.iter().all(|values| values.contains_key("w") == (values["k"] == "\"y\"")));
}

proptest! {
    /// A place's values lead back to the same values, however it was rounded.
    #[test]
    fn values_and_places_agree(xs in prop::collection::vec(0.0..=1.0f64, 6)) {
        let space = space(MIXED);
        let point: Point = space.axes().iter().zip(xs).map(|(axis, x)| Some(match axis {
            Axis::Kinds(count) => (x * *count as f64).floor().min(*count as f64 - 1.0),
            Axis::Line { .. } => x,
        })).collect();
        let values = space.values(&point);
        let place = space.point(&values);
        prop_assert!(place.iter().all(Option::is_some));
        prop_assert_eq!(space.values(&place), values);
    }
}
