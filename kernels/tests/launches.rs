//! How many kernels the ops give to a GPU's queue, and how many bytes go by: the same on a software driver.
#![allow(missing_docs, clippy::unwrap_used)]
#![cfg(feature = "cube")]

mod support;

use burn::tensor::{Device, Int, Tensor};
use kiln_kernels::{
    AttentionOptions, attention, embedding, launches::Launches, launches::Watch, layer_norm, linear_cross_entropy, norm,
};
use support::devices;

/// What a second run of `step` gives to the queue: the first one tunes.
fn launched(device: &Device, mut step: impl FnMut()) -> Vec<(String, Launches)> {
    step();
    device.sync().unwrap();
    let watch = Watch::start().unwrap();
    step();
    device.sync().unwrap();
    watch.finish().into_iter().collect()
}

fn of(launches: &[(String, Launches)], name: &str) -> Launches {
    launches.iter().find(|(kind, _)| kind == name).map(|(_, launches)| *launches).unwrap_or_default()
}

/// One test: a watch sees everything that the process launches.
#[test]
fn the_ops_take_few_kernels_and_move_their_operands_once() {
    for (name, device) in devices() {
        if name != "wgpu" {
            continue;
        }
        let device = device.autodiff();
        let [b, t, heads, d] = [2, 40, 2, 8];
        let joint = Tensor::<3>::ones([b, t, 3 * heads * d], &device);
        let options = AttentionOptions { heads, kv_heads: heads, causal: true, dropout: 0.0 };
        let seen = launched(&device, || {
            let joint = joint.clone().detach().require_grad();
            let _ = attention(joint.clone(), None, options).sum().backward();
        });
        let (part, sums) = ((4 * b * t * heads * d) as u64, (4 * b * heads * t) as u64);
        // The joint projection, the placeholder for angles (twice: also for the noise), the output and the sums.
        assert_eq!(of(&seen, "attention_forward").kernels, 1, "{seen:?}");
        let bytes = of(&seen, "attention_forward").bytes;
        assert!((4 * part + sums..=4 * part + sums + 8).contains(&bytes), "{bytes} and {}", 4 * part + sums);
        assert_eq!(of(&seen, "attention_backward").kernels, 3, "{seen:?}");

        let [rows, width, classes] = [6, 8, 17];
        let (x, table) = (Tensor::<2>::ones([rows, width], &device), Tensor::<2>::ones([classes, width], &device));
        let ids = Tensor::<1, Int>::arange(0..rows as i64, &device);
        let seen = launched(&device, || {
            let (x, table) = (x.clone().detach().require_grad(), table.clone().detach().require_grad());
            let _ = linear_cross_entropy(x, table, ids.clone(), 0.1, 0.5).backward();
        });
        // Three products, the kernel between them, and the sum of the losses; a product may take a copy of an operand.
        let launches = of(&seen, "linear_cross_entropy_trained");
        assert!((5..=8).contains(&launches.kernels), "{seen:?}");
        assert!(launches.bytes >= 6 * 4 * (rows * classes) as u64, "{seen:?}");

        let gamma = Tensor::<1>::ones([width], &device);
        let seen = launched(&device, || {
            let (x, gamma) = (x.clone().detach().require_grad(), gamma.clone().detach().require_grad());
            let _ = layer_norm(x, gamma, None, 1e-5).sum().backward();
        });
        assert_eq!(of(&seen, "layer_norm_backward").kernels, 2, "{seen:?}");

        let ids = ids.clone().reshape([1, rows]);
        let seen = launched(&device, || {
            let _ = embedding(table.clone().detach().require_grad(), ids.clone()).sum().backward();
        });
        assert_eq!(of(&seen, "add_rows").kernels, 1, "{seen:?}");

        let grads: Vec<Tensor<2>> = (1..9).map(|i| Tensor::ones([i, 3], &device).inner()).collect();
        let seen = launched(&device, || drop(norm(grads.clone()).unwrap().into_data()));
        assert_eq!(of(&seen, "add_squares").kernels, 2, "{seen:?}");
    }
}
