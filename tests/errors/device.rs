//! Devices that are unknown, absent or left out of the build.

use crate::{
    common::{Bench, skip},
    refuse,
};

#[test]
fn an_unknown_device_is_told_the_nearest_one() {
    let bench = Bench::tiny();
    refuse(
        &bench,
        &[
            (&["train", "tiny.toml", "--device", "vulcan"], 2, &["unknown device `vulcan`", "did you mean `vulkan`?"]),
            (
                &["check", "tiny.toml", "--set", "train.device=\"flex:7\""],
                2,
                &["unknown device `flex:7`", "the devices are"],
            ),
        ],
    );
}

#[test]
fn a_device_left_out_of_the_build_names_the_cargo_command() {
    let bench = Bench::tiny();
    for (device, feature, compiled) in [
        ("cuda", "cuda", cfg!(feature = "cuda")),
        ("vulkan:0", "vulkan", cfg!(feature = "vulkan")),
        ("wgpu", "wgpu", cfg!(feature = "wgpu")),
        ("metal", "metal", cfg!(feature = "metal")),
        ("tch", "tch", cfg!(feature = "tch")),
    ] {
        if compiled {
            skip(&format!("{device} left out of the build: this build has it"));
            continue;
        }
        let command = format!("--features {feature}");
        refuse(
            &bench,
            &[(
                &["train", "tiny.toml", "--device", device],
                2,
                &["this build has no", "cargo build --release", &command],
            )],
        );
    }
}

#[test]
fn a_device_that_is_compiled_in_but_absent_says_what_was_found() {
    let absent = [
        ("cuda:99", cfg!(feature = "cuda")),
        ("vulkan:99", cfg!(feature = "vulkan")),
        ("tch:mps", cfg!(feature = "tch")),
    ];
    let bench = Bench::tiny();
    for (device, compiled) in absent {
        if compiled && !cfg!(target_os = "macos") {
            refuse(&bench, &[(&["train", "tiny.toml", "--device", device], 2, &["on this machine", "kiln devices"])]);
        } else {
            skip(&format!("{device} compiled in but absent: it is not in this build"));
        }
    }
}
