//! The output layer with its loss against an f64 reference whose gradients are finite differences.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Int, Tensor, TensorData};
use kiln_kernels::linear_cross_entropy;
use proptest::prelude::*;
use support::{close, devices, slopes, upload, values, wide_noise};

struct Data {
    x: Vec<f64>,
    table: Vec<f64>,
    targets: Vec<i64>,
    sizes: [usize; 3],
    smoothing: f64,
    scale: f64,
}

impl Data {
    fn new([rows, width, classes]: [usize; 3], size: f32, smoothing: f64) -> Self {
        // Every fifth row is left out.
        let target = |i: usize| if i % 5 == 4 { -1 } else { (i * 7 % classes) as i64 };
        Self {
            x: wide_noise(rows * width, 1, size),
            table: wide_noise(classes * width, 2, 1.0),
            targets: (0..rows).map(target).collect(),
            sizes: [rows, width, classes],
            smoothing,
            scale: 1.0 / rows as f64,
        }
    }

    fn loss(&self, x: &[f64], table: &[f64]) -> f64 {
        let [_, width, classes] = self.sizes;
        let row = |i: usize, target: i64| -> f64 {
            let logit = |j: usize| (0..width).map(|p| x[i * width + p] * table[j * width + p]).sum::<f64>();
            let logits: Vec<f64> = (0..classes).map(logit).collect();
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total = largest + logits.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
            let spread = self.smoothing / classes as f64 * logits.iter().map(|x| total - x).sum::<f64>();
            (1.0 - self.smoothing) * (total - logits[target as usize]) + spread
        };
        let rows = self.targets.iter().enumerate().filter(|(_, target)| **target >= 0);
        self.scale * rows.map(|(i, target)| row(i, *target)).sum::<f64>()
    }

    fn ids(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.targets.clone(), [self.targets.len()]), device)
    }
}

/// Logits of some tens are off by 1e-6 of their size in f32, and so are the probabilities; `after` stands for what
/// follows the loss and multiplies every gradient.
fn check(what: &str, data: &Data, x: Tensor<2>, table: Tensor<2>, after: f64) {
    let (x, table) = (x.require_grad(), table.require_grad());
    let ids = data.ids(&x.device());
    let loss = linear_cross_entropy(x.clone(), table.clone(), ids, data.smoothing, data.scale) * after;
    let gradients = loss.clone().backward();
    close(&format!("{what} loss"), &values(loss), &[after * data.loss(&data.x, &data.table)], 1e-6, 5e-6);
    let dx = slopes(&data.x, |x| after * data.loss(x, &data.table));
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 4e-6, 2e-5);
    let dtable = slopes(&data.table, |table| after * data.loss(&data.x, table));
    close(&format!("{what} dtable"), &values(table.grad(&gradients).unwrap()), &dtable, 4e-6, 2e-5);
}

fn plain(what: &str, data: &Data, device: &Device, after: f64) {
    let [rows, width, classes] = data.sizes;
    check(what, data, upload(&data.x, [rows, width], device), upload(&data.table, [classes, width], device), after);
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for sizes in [[1, 1, 1], [3, 5, 2], [7, 9, 17], [11, 3, 65]] {
            for smoothing in [0.0, 0.1] {
                plain(&format!("{name} {sizes:?} {smoothing}"), &Data::new(sizes, 2.0, smoothing), &device, 1.0);
            }
        }
        plain(&format!("{name} scaled after"), &Data::new([7, 9, 17], 2.0, 0.0), &device, -2.5);
    }
}

#[test]
fn large_logits_stay_finite() {
    for (name, device) in devices() {
        let [rows, width, classes] = [4, 3, 9];
        let data = Data::new([rows, width, classes], 1e4, 0.1);
        let x = upload(&data.x, [rows, width], &device);
        let table = upload(&data.table, [classes, width], &device);
        let loss = values(linear_cross_entropy(x, table, data.ids(&device), 0.1, data.scale));
        // Logits of 1e4 have steps of 1e-3.
        close(name, &loss, &[data.loss(&data.x, &data.table)], 1e-2, 1e-5);
    }
}

#[test]
fn a_transposed_table_keeps_its_layout() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let data = Data::new([7, 9, 17], 2.0, 0.0);
        let (x, table) = (upload(&data.x, [7, 9], &device), upload(&data.table, [17, 9], &device));
        let weight = (table.transpose() * 1.0).detach().require_grad(); // [width, V], an untied output layer
        let loss = linear_cross_entropy(x.clone(), weight.clone().transpose(), data.ids(&device), 0.0, data.scale);
        let gradients = loss.backward();
        let dtable = slopes(&data.table, |table| data.loss(&data.x, table));
        let dweight = weight.grad(&gradients).unwrap();
        assert_eq!(dweight.dims(), [9, 17], "{name}");
        close(name, &values(dweight.transpose()), &dtable, 4e-6, 2e-5);
        check(
            &format!("{name} strided x"),
            &data,
            (x.transpose() * 1.0).transpose().detach(),
            weight.transpose().detach(),
            1.0,
        );
    }
}

#[test]
#[cfg(feature = "flex")]
fn many_rows_go_through_in_chunks_and_give_the_same_bits_on_any_number_of_threads() {
    // 64 MiB hold the logits of 256 rows of 65,537 classes, so 300 rows take two chunks.
    let [rows, width, classes] = [300, 5, 65_537];
    let data = Data::new([rows, width, classes], 1.0, 0.0);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let x = upload(&data.x, [rows, width], &device).require_grad();
            let table = upload(&data.table, [classes, width], &device).require_grad();
            let loss = linear_cross_entropy(x.clone(), table.clone(), data.ids(&device), 0.0, data.scale);
            let gradients = loss.clone().backward();
            [values(loss), values(x.grad(&gradients).unwrap()), values(table.grad(&gradients).unwrap())].concat()
        })
    };
    let one = run(1);
    close("loss", &one[..1], &[data.loss(&data.x, &data.table)], 0.0, 1e-5);
    let dx = |i: usize| {
        let moved = |by: f64| {
            let mut x = data.x.clone();
            x[i] += by;
            data.loss(&x, &data.table)
        };
        (moved(1e-4) - moved(-1e-4)) / 2e-4
    };
    for i in [0, 1277, 1283, rows * width - 6] {
        assert!((f64::from(one[1 + i]) - dx(i)).abs() < 1e-7, "{i}: {} and {}", one[1 + i], dx(i));
    }
    for threads in [2, 5] {
        assert!(one.iter().zip(run(threads)).all(|(a, b)| a.to_bits() == b.to_bits()), "{threads} threads");
    }
}

#[test]
#[cfg(feature = "flex")]
#[should_panic(expected = "classes")]
fn flex_refuses_a_target_beyond_the_table() {
    let device = Device::flex();
    let x = Tensor::<2>::ones([1, 2], &device);
    linear_cross_entropy(x, Tensor::ones([3, 2], &device), Tensor::from_ints([3], &device), 0.0, 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    #[cfg(feature = "flex")]
    fn any_shape_is_right_on_flex(rows in 1usize..20, width in 1usize..12, classes in 1usize..30, smooth in 0.0..0.5f64) {
        plain("flex", &Data::new([rows, width, classes], 2.0, smooth), &Device::flex().autodiff(), 1.0);
    }
}
