//! What a person sees for every fault.

mod data;
mod model;
mod run;

use crate::config::fault::shown as fault;

#[test]
fn a_flag_against_the_file() {
    let shown = fault(&[(r#""gpt""#, "\"gpt\"\nwidth = 128")], &["model.heads=3"]);
    assert_eq!(
        shown,
        r#"`model.heads` = 3 does not divide `model.width` = 128
 --> a.toml:6:9
  |
6 | width = 128
  |         --- `model.width`
  |
 ::: --set:1:13
  |
1 | model.heads=3
  |             ^ `model.heads`
next: make `width` a multiple of 3, or change `heads`"#
    );
}
