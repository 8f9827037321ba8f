//! Backends agree: the same config for 20 steps, and runs that move between devices. What cannot run is skipped out loud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Bench, steps};

/// Every device but flex, which the others are compared with. Software drivers are asked for by name.
const DEVICES: [&str; 7] = ["ndarray", "tch", "vulkan:cpu", "wgpu:cpu", "vulkan", "metal", "cuda"];

/// Losses of 20 steps of every kind of model are within this of flex's, relative.
///
/// Sums in another order change the last bits of every product (1e-7), and 20 AdamW steps, whose first updates are the
/// sign of a gradient, amplify that: 1e-7 was seen for the GPT and the MLP, 6e-5 for the CNN on libtorch.
const TOLERANCE: f64 = 5e-4;

fn train(bench: &Bench, config: &str, device: &str) -> Result<Vec<(u64, f64, String)>, String> {
    let name = format!("{config}-{}", device.replace(':', "-"));
    let said = bench.kiln(&[
        "train",
        &format!("{config}.toml"),
        "--quiet",
        "--device",
        device,
        "--set",
        &format!("run.name={name}"),
        "--set",
        "train.steps=20",
        "--set",
        "checkpoint.every=0",
    ]);
    match said.code {
        0 => Ok(steps(&bench.path(&format!("checkpoints/{name}/journal.jsonl")))),
        2 => Err(said.err.trim().to_string()),
        code => panic!("{config} on {device} ended with {code}: {}", said.err),
    }
}

/// A table of two features and two classes.
fn table(bench: &Bench) {
    let rows = (0..400).map(|i| {
        let (x, y) = ((f64::from(i) * 0.7).sin(), (f64::from(i) * 1.3).cos());
        format!("{x},{y},{}\n", if x * y > 0.0 { "same" } else { "other" })
    });
    bench.write("table.csv", &("x,y,label\n".to_string() + &rows.collect::<String>()));
    bench.write(
        "mlp.toml",
        "[data]\ntask = \"classification\"\nsource = { path = \"table.csv\" }\n[model]\nkind = \"mlp\"\nhidden = [16]\n\
         [train]\nsteps = 20\nbatch = 16\n",
    );
}

/// Pictures of 8x8: one class bright above, one below.
fn pictures(bench: &Bench) {
    for i in 0..40u8 {
        let class = if i % 2 == 0 { "above" } else { "below" };
        let picture = image::GrayImage::from_fn(8, 8, |x, y| {
            let bright = (y < 4) == (i % 2 == 0);
            image::Luma([if bright { 200 + (i + x as u8) % 50 } else { 10 + (3 * i + y as u8) % 40 }])
        });
        let path = bench.path(&format!("pictures/{class}/{i}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }
    bench.write(
        "cnn.toml",
        "[data]\ntask = \"classification\"\nsource = { path = \"pictures\" }\nimage_size = [8, 8]\nchannels = 1\n[model]\n\
         kind = \"cnn\"\nwidth = 4\n[train]\nsteps = 20\nbatch = 8\n",
    );
}

#[test]
fn twenty_steps_agree_on_every_device() {
    let bench = Bench::tiny();
    table(&bench);
    pictures(&bench);
    for device in DEVICES {
        for config in ["tiny", "mlp", "cnn"] {
            let flex = train(&bench, config, "flex").expect("flex is in every build");
            let other = match train(&bench, config, device) {
                Ok(other) => other,
                Err(why) => {
                    eprintln!("SKIPPED {device}: {why}");
                    break;
                }
            };
            let worst = flex.iter().zip(&other).map(|(a, b)| ((a.1 - b.1) / a.1).abs()).fold(0.0, f64::max);
            eprintln!("{config} on {device}: within {worst:.1e} of flex over 20 steps");
            assert_eq!(flex.len(), 20);
            assert!(flex.iter().zip(&other).all(|(a, b)| a.2 == b.2), "{device} drew other batches");
            assert!(worst < TOLERANCE, "{config} on {device}: {worst:.1e}\n{flex:?}\n{other:?}");
            bench_clear(&bench, config);
        }
    }
}

fn bench_clear(bench: &Bench, config: &str) {
    std::fs::remove_dir_all(bench.path(&format!("checkpoints/{config}-flex"))).unwrap();
}

#[test]
fn a_run_moves_between_devices() {
    let bench = Bench::tiny();
    let straight = train(&bench, "tiny", "flex").unwrap();
    for device in DEVICES {
        if let Err(why) = train(&bench, "tiny", device) {
            eprintln!("SKIPPED {device}: {why}");
            continue;
        }
        for (first, second) in [("flex", device), (device, "flex")] {
            let name = format!("from-{}-to-{}", first.replace(':', "-"), second.replace(':', "-"));
            let set = format!("run.name={name}");
            let begun = bench.kiln(&[
                "train",
                "tiny.toml",
                "--quiet",
                "--device",
                first,
                "--set",
                &set,
                "--set",
                "train.steps=20",
                "--set",
                "train.max_time=1h",
                "--set",
                "checkpoint.every=10",
                "--set",
                "checkpoint.keep=2",
            ]);
            assert_eq!(begun.code, 0, "{first}: {}", begun.err);
            // The second half again, from the checkpoint half-way, on the other device.
            std::fs::remove_dir_all(bench.path(&format!("checkpoints/{name}/step-00000020"))).unwrap();
            let said = bench.kiln(&["resume", &name, "--device", second]);
            assert_eq!(said.code, 0, "{first} to {second}: {}", said.err);
            assert!(said.err.contains("resuming at step 10"), "{}", said.err);
            let moved = steps(&bench.path(&format!("checkpoints/{name}/journal.jsonl")));
            assert_eq!(moved.len(), 20);
            for (a, b) in straight.iter().zip(&moved) {
                assert!(((a.1 - b.1) / a.1).abs() < TOLERANCE, "{first} to {second}, step {}: {} {}", a.0, a.1, b.1);
            }
        }
    }
}
