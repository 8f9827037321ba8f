//! Each op, forward and backward, and a whole training step, on a GPU against burn's composition:
//! `cargo bench --features vulkan --bench gpu -- --device vulkan`.
//!
//! `--tiny` takes sizes that a software driver (`--device wgpu:cpu`) gets through in a minute or two: its times mean
//! nothing, but every kernel runs, and their number is that of a GPU.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/burn_gpt.rs"]
mod burn_gpt;

use std::time::Instant;

use burn::nn::LayerNormConfig;
use burn::tensor::{
    Device, Distribution, Int, Tensor,
    activation::{gelu_approximate, log_softmax},
    module::attention_fallback,
    ops::AttentionModuleOptions,
};
use burn_gpt::{BurnTraining, Sizes};
use kiln::{
    commands::Console,
    config::Plan,
    device::DeviceSpec,
    train::{Run, Setup},
};
use kiln_kernels::{
    AttentionOptions, attention, embedding, gelu,
    launches::Watch,
    layer_norm, linear_cross_entropy, norm,
    optimizer::{Adamw, Rule, Update, update},
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let tiny = args.iter().any(|arg| arg == "--tiny");
    let wanted = args.iter().position(|arg| arg == "--device").and_then(|i| args.get(i + 1));
    let opened = match wanted {
        Some(name) => DeviceSpec::parse(name).and_then(|spec| spec.open()),
        None => DeviceSpec::Auto.open(),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return eprintln!("SKIPPED: {error}"),
    };
    if DeviceSpec::parse(&opened.spec).is_ok_and(|spec| spec.on_host()) {
        return eprintln!(
            "SKIPPED: no GPU (found {}); name one with `--device`, in a build with its feature: wgpu, vulkan, metal or \
             cuda. `cargo bench -p kiln-kernels` times the CPU",
            opened.name
        );
    }
    println!("{}, forward and backward, median", opened.name);
    let bench = Bench { device: opened.device, repeats: if tiny { 3 } else { 15 } };
    bench.attention(if tiny { &[[1, 2, 40, 8]] } else { &[[8, 12, 1024, 64], [2, 12, 4096, 64], [4, 16, 1024, 128]] });
    bench.linear_cross_entropy(if tiny { [24, 16, 65] } else { [4096, 768, 50_257] });
    let (rows, width) = if tiny { (24, 16) } else { (8192, 768) };
    bench.layer_norm(rows, width);
    bench.gelu(rows, 4 * width);
    bench.embedding(if tiny { [24, 16, 65] } else { [8192, 768, 50_257] });
    let sizes: &[usize] = if tiny { &[16; 12] } else { &[768; 96] };
    bench.norm(sizes);
    bench.adamw(if tiny { &[64, 1000] } else { &[38_597_376, 7_077_888, 7_077_888, 2_304, 768] });
    let gpt2 = Sizes { layers: 12, heads: 12, width: 768, context: 1024, vocab: 256 };
    let small = Sizes { layers: 4, heads: 2, width: 16, context: 8, vocab: 256 };
    let (sizes, batch) = if tiny { (small, 2) } else { (gpt2, 8) };
    bench.step(&opened.spec, sizes, batch);
}

struct Bench {
    device: Device,
    repeats: usize,
}

impl Bench {
    /// Causal, from the joint projection to the input of the output projection.
    fn attention(&self, sizes: &[[usize; 4]]) {
        for [b, heads, t, d] in sizes.iter().copied() {
            let joint = self.random([b, t, 3 * heads * d]);
            let pairs = (b * heads * t * (t + 1) / 2) as f64;
            // What has to be done at least: 2 products forward, 5 backward.
            let work = (pairs * (14.0 * d as f64 + 2.0), (48 * b * t * heads * d) as f64);
            let options = AttentionOptions { heads, kv_heads: heads, causal: true, dropout: 0.0 };
            self.report(&format!("attention {b} x {heads} x {t} x {d}"), work, || {
                attention(joint.clone().require_grad(), None, options).sum().backward();
            });
            self.report("  burn's attention", work, || {
                let joint = joint.clone().require_grad();
                let part = |i: usize| {
                    let columns = joint.clone().narrow(2, i * heads * d, heads * d);
                    columns.reshape([b, t, heads, d]).swap_dims(1, 2)
                };
                let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
                let y = attention_fallback(part(0), part(1), part(2), None, None, options);
                y.swap_dims(1, 2).reshape([b, t, heads * d]).sum().backward();
            });
        }
    }

    fn linear_cross_entropy(&self, [rows, width, classes]: [usize; 3]) {
        let device = self.device.clone().autodiff();
        let (x, table) = (self.random([rows, width]), self.random([classes, width]));
        let targets = Tensor::<1, Int>::arange(0..rows as i64, &device).remainder_scalar(classes as i64);
        let product = (rows * width * classes) as f64;
        let logits = (4 * rows * classes) as f64;
        let work = (6.0 * product, 6.0 * logits + (12 * width * (rows + classes)) as f64);
        let scale = 1.0 / rows as f64;
        self.report(&format!("linear_cross_entropy {rows} x {width} x {classes}"), work, || {
            let (x, table) = (x.clone().require_grad(), table.clone().require_grad());
            linear_cross_entropy(x, table, targets.clone(), 0.0, scale).backward();
        });
        self.report("  matmul, log_softmax, gather", work, || {
            let (x, table) = (x.clone().require_grad(), table.clone().require_grad());
            let picked = log_softmax(x.matmul(table.transpose()), 1).gather(1, targets.clone().unsqueeze_dim(1));
            picked.sum().mul_scalar(-scale).backward();
        });
    }

    fn layer_norm(&self, rows: usize, width: usize) {
        let x = self.random([rows, width]);
        let norm = LayerNormConfig::new(width).init(&self.device.clone().autodiff());
        let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().map(|beta| beta.val()));
        let elements = (rows * width) as f64;
        let work = (22.0 * elements, 20.0 * elements);
        self.report(&format!("layer_norm {rows} x {width}"), work, || {
            layer_norm(x.clone().require_grad(), gamma.clone(), beta.clone(), 1e-5).sum().backward();
        });
        self.report("  burn's LayerNorm", work, || {
            norm.forward(x.clone().require_grad()).sum().backward();
        });
    }

    fn gelu(&self, rows: usize, width: usize) {
        let x = self.random([rows, width]);
        let elements = (rows * width) as f64;
        let work = (22.0 * elements, 20.0 * elements);
        self.report(&format!("gelu {rows} x {width}"), work, || {
            gelu(x.clone().require_grad()).sum().backward();
        });
        self.report("  burn's gelu_approximate", work, || {
            gelu_approximate(x.clone().require_grad()).sum().backward();
        });
    }

    fn embedding(&self, [rows, width, classes]: [usize; 3]) {
        let table = self.random([classes, width]);
        let ids = Tensor::<1, Int>::arange(0..rows as i64, &self.device.clone().autodiff());
        let ids = ids.remainder_scalar(classes as i64);
        let work = (0.0, (20 * rows * width) as f64);
        self.report(&format!("embedding {rows} x {width} of {classes}"), work, || {
            embedding(table.clone().require_grad(), ids.clone().unsqueeze()).sum().backward();
        });
        self.report("  burn's select", work, || {
            table.clone().require_grad().select(0, ids.clone()).sum().backward();
        });
    }

    /// Of square matrices with these sides.
    fn norm(&self, sides: &[usize]) {
        let grads: Vec<Tensor<2>> = sides.iter().map(|side| self.random([*side, *side]).inner()).collect();
        let elements = sides.iter().map(|side| side * side).sum::<usize>() as f64;
        let work = (2.0 * elements, 4.0 * elements);
        self.report(&format!("norm of {} gradients", sides.len()), work, || {
            let _ = norm(grads.clone()).map(Tensor::into_data);
        });
        self.report("  composed", work, || {
            let squares = grads.iter().map(|grad| grad.clone().square().sum_dim(1).sum());
            let _ = squares.reduce(Tensor::add).map(|sum| sum.sqrt().into_data());
        });
    }

    fn adamw(&self, sizes: &[usize]) {
        let elements = sizes.iter().sum::<usize>() as f64;
        let fill = |value: f64| -> Vec<Tensor<1>> {
            sizes.iter().map(|n| Tensor::zeros([*n], &self.device).add_scalar(value)).collect()
        };
        let (grads, mut state) = (fill(0.1), [fill(0.5), fill(0.0), fill(0.0)]);
        let step = Adamw { rate: 1e-3, decay: 0.1, betas: [0.9, 0.95], eps: 1e-8, update: 1 };
        let name = format!("adamw, {:.3} M in {} tensors", elements / 1e6, sizes.len());
        self.report(&name, (15.0 * elements, 28.0 * elements), || {
            let [values, first, second] = std::mem::take(&mut state);
            let moments = first.into_iter().zip(second).map(|(m, v)| Rule::Adamw(step, [m, v]));
            let updates = values.into_iter().zip(&grads).zip(moments);
            let updates =
                updates.map(|((value, grad), rule)| Update { value, grad: grad.clone(), rule, average: None });
            for mut after in update(updates.collect(), 0.5, 0.0) {
                state[2].extend(after.slots.pop());
                state[1].extend(after.slots.pop());
                state[0].push(after.value);
            }
        });
    }

    /// kiln's training loop beside the same GPT, loss and update of burn's own.
    fn step(&self, device: &str, sizes: Sizes, batch: usize) {
        let Sizes { layers, heads, width, context, vocab } = sizes; // as many ids as there are bytes
        let folder = tempfile::tempdir().expect("a scratch folder");
        let text: String = (0..100 * batch * context).map(|i| char::from(b'0' + (i * i % 64) as u8)).collect();
        std::fs::write(folder.path().join("text.txt"), text).expect("the scratch folder takes a file");
        let config = format!(
            "[data]\ntask = \"language-model\"\nsource = {{ path = \"text.txt\" }}\ntokenizer = \"bytes\"\n\
             context = {context}\n[model]\nkind = \"gpt\"\nlayers = {layers}\nheads = {heads}\nwidth = {width}\n\
             bias = false\n[train]\nsteps = 100000\nbatch = {batch}\ndevice = \"{device}\"\n[optim]\n\
             betas = [0.9, 0.99]\n[run]\ndir = {:?}\n",
            folder.path().join("runs")
        );
        let plan = Plan::parse(&config, "step.toml", folder.path(), &[]).expect("the config is sound");
        let setup = Setup::new(plan, &|_| {}).expect("the data can be prepared");
        let parameters = setup.parameters() as f64;
        let work = (6.0 * parameters * (batch * context) as f64, 28.0 * parameters);
        let fresh = Run::resume_or_fresh(setup, &mut Console::new(false, true, false).progress());
        let mut run = Some(fresh.expect("a fresh run"));
        self.report(&format!("a step of {layers} layers, {width} wide, {batch} x {context}"), work, || {
            run = run.take().map(|run| run.measured_step().expect("a step").0);
        });
        drop(run);
        let device = self.device.clone().autodiff();
        let mut training = Some(BurnTraining::new(sizes, &device));
        let ids = Tensor::<1, Int>::arange(0..(batch * context) as i64, &device).remainder_scalar(vocab as i64);
        let ids = ids.reshape([batch, context]);
        self.report("  burn's own", work, || {
            training = training.take().map(|training| training.step(ids.clone(), ids.clone()).0);
        });
    }

    fn random<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &self.device.clone().autodiff()).detach()
    }

    /// Prints the median after 3 runs to warm up and tune, the rates of the least `work`, FLOPs and bytes, and how many
    /// kernels and bytes the queue was given.
    fn report(&self, name: &str, (flops, bytes): (f64, f64), mut step: impl FnMut()) {
        let mut timed = || {
            let start = Instant::now();
            step();
            self.device.sync().expect("the device fails");
            start.elapsed().as_secs_f64()
        };
        (0..3).for_each(|_| {
            timed();
        });
        let mut times: Vec<f64> = (0..self.repeats).map(|_| timed()).collect();
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let (gflops, gbytes) = (flops / median / 1e9, bytes / median / 1e9);
        let watch = Watch::start();
        timed();
        let launches = watch.map(Watch::finish).unwrap_or_default();
        let kernels: u64 = launches.values().map(|launches| launches.kernels).sum();
        let moved: u64 = launches.values().map(|launches| launches.bytes).sum();
        println!(
            "{name:<42} {:>9.3} ms {gflops:>9.1} GFLOP/s {gbytes:>8.1} GB/s {kernels:>4} kernels {:>10.3} MB",
            median * 1e3,
            moved as f64 / 1e6
        );
    }
}
