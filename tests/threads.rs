//! A run on flex has the same bits whatever the number of threads: every sum is taken in a fixed order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Bench, steps};

/// Wide enough that products and passes are cut into several tasks.
const GPT: &str = r#"
[data]
task = "language-model"
source = { path = "text.txt" }
tokenizer = "char"
context = 48

[model]
kind = "gpt"
layers = 2
heads = 4
kv_heads = 2
width = 96
dropout = 0.1
norm = "rms"
feed_forward = "swiglu"
position = "rope"

[train]
steps = 6
batch = 12
accumulate = 2
label_smoothing = 0.1
device = "flex"

[optim]
ema = 0.9
schedule = { warmup = 2 }

[checkpoint]
every = 6
"#;

/// Pictures of 20 x 20 into two classes.
const CNN: &str = r#"
[data]
task = "classification"
source = { path = "pictures" }
image_size = [20, 20]
channels = 1

[model]
kind = "cnn"
width = 16
dropout = 0.3

[train]
steps = 6
batch = 24
device = "flex"

[checkpoint]
every = 6
"#;

fn pictures(bench: &Bench) {
    for i in 0..60u8 {
        let class = if i % 2 == 0 { "above" } else { "below" };
        let picture = image::GrayImage::from_fn(20, 20, |x, y| {
            let bright = (y < 10) == (i % 2 == 0);
            image::Luma([if bright { 180 + (i + x as u8) % 50 } else { 10 + (3 * i + y as u8) % 40 }])
        });
        let path = bench.path(&format!("pictures/{class}/{i}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }
}

/// What a run leaves.
#[derive(PartialEq)]
struct Trained {
    losses: Vec<f64>,
    weights: Vec<u8>,
    moments: Vec<u8>,
}

fn trained(bench: &Bench, config: &str, precision: &str, threads: &str) -> Trained {
    let name = format!("{config}-{precision}-{threads}");
    let (file, run) = (format!("{config}.toml"), format!("run.name={name}"));
    let precision = format!("train.precision={precision}");
    let mut command = bench.command(&["train", &file, "--quiet", "--set", &run, "--set", &precision]);
    let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let dir = bench.path("checkpoints").join(&name);
    let read = |file: &str| std::fs::read(dir.join("step-00000006").join(file)).unwrap();
    Trained {
        losses: steps(&dir.join("journal.jsonl")).into_iter().map(|(_, loss, _)| loss).collect(),
        weights: read("weights.safetensors"),
        moments: read("optim.safetensors"),
    }
}

#[test]
fn one_two_and_three_threads_train_the_same_bits() {
    let bench = Bench::tiny();
    bench.write("gpt.toml", GPT);
    bench.write("cnn.toml", CNN);
    pictures(&bench);
    for config in ["gpt", "cnn"] {
        for precision in ["f32", "bf16"] {
            let one = trained(&bench, config, precision, "1");
            assert_eq!(one.losses.len(), 6);
            for threads in ["2", "3"] {
                let more = trained(&bench, config, precision, threads);
                assert_eq!(more.losses, one.losses, "{config}, {precision}, {threads} threads");
                assert!(more == one, "the weights of {config}, {precision}, {threads} threads");
            }
        }
    }
}
