//! Look-up and its backward, alone and tied to an output layer, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Int, Tensor, TensorData};
use kiln_kernels::{embedding, linear_cross_entropy, tied, tied_embedding};
use support::{close, devices, slopes, upload, values, wide_noise};

const IDS: [i64; 6] = [3, 0, 3, 4, 3, 1];

#[test]
fn rows_come_out_and_their_gradients_add_up() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let (table, dy) = (wide_noise(5 * 7, 1, 1.0), wide_noise(6 * 7, 2, 1.0));
        let weight = upload(&table, [5, 7], &device).require_grad();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(IDS.to_vec(), [2, 3]), &device);
        let y = embedding(weight.clone(), ids);
        assert_eq!(y.dims(), [2, 3, 7]);
        let gradients = (y.clone() * upload(&dy, [2, 3, 7], &device)).sum().backward();
        let right = IDS.iter().flat_map(|id| table[*id as usize * 7..][..7].to_vec()).collect::<Vec<_>>();
        close(name, &values(y), &right, 0.0, 0.0);
        let mut sums = vec![0.0; 5 * 7];
        for (id, row) in IDS.iter().zip(dy.chunks(7)) {
            row.iter().enumerate().for_each(|(j, dy)| sums[*id as usize * 7 + j] += dy);
        }
        close(name, &values(weight.grad(&gradients).unwrap()), &sums, 1e-6, 0.0); // three additions in f32
    }
}

#[test]
fn a_tied_table_gets_the_gradients_of_both_its_uses() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let table = wide_noise(5 * 7, 3, 1.0);
        let targets = [1i64, 2, 0, 4, 4, 3];
        let loss = |table: &[f64]| -> f64 {
            let row = |id: i64| &table[id as usize * 7..][..7];
            let product = |a: i64, b: i64| row(a).iter().zip(row(b)).map(|(a, b)| a * b).sum::<f64>();
            let rows = IDS.iter().zip(targets);
            rows.map(|(id, target)| (0..5).map(|j| product(*id, j).exp()).sum::<f64>().ln() - product(*id, target))
                .sum()
        };
        let weight = upload(&table, [5, 7], &device).require_grad();
        let shared = tied(weight.clone());
        let ids = Tensor::<2, Int>::from_data(TensorData::new(IDS.to_vec(), [1, 6]), &device);
        let x = tied_embedding(shared.clone(), ids).reshape([6, 7]);
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets.to_vec(), [6]), &device);
        let found = linear_cross_entropy(x, shared, targets, 0.0, 1.0);
        let gradients = found.clone().backward();
        close(name, &values(found), &[loss(&table)], 1e-5, 1e-5);
        close(name, &values(weight.grad(&gradients).unwrap()), &slopes(&table, loss), 1e-5, 1e-5);
    }
}

#[test]
#[cfg(feature = "flex")]
#[should_panic(expected = "classes")]
fn flex_refuses_an_id_beyond_the_table() {
    let device = burn::tensor::Device::flex();
    embedding(Tensor::ones([3, 2], &device), Tensor::from_ints([[3]], &device));
}
