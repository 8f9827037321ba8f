//! The update rules, the norm and the sum of gradients against f64 references, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor};
use kiln_kernels::{
    accumulate, norm,
    optimizer::{Adamw, Fold, Lion, Momentum, Rule, Update, update},
};
use support::{close, devices, noise, values};

/// Nothing, one, below a vector, above one, and above a chunk that one thread takes.
const LENGTHS: [usize; 7] = [0, 1, 15, 17, 16_384, 16_385, 65_537];
const KEEP: f64 = 0.9;

/// A rule and its numbers, without tensors.
#[derive(Debug, Clone, Copy)]
enum Case {
    Adamw(Adamw),
    Lion(Lion),
    Sgd(Momentum, bool),
    Muon(Momentum),
}

fn cases() -> Vec<Case> {
    let betas = [0.9, 0.95];
    let adamw = Adamw { rate: 1e-2, decay: 0.1, betas, eps: 1e-8, update: 3 };
    let lion = Lion { rate: 1e-3, decay: 0.1, betas: [0.9, 0.99] };
    let sgd = Momentum { rate: 5e-2, decay: 0.1, momentum: 0.9, nesterov: true };
    vec![
        Case::Adamw(adamw),
        Case::Adamw(Adamw { decay: 0.0, update: 1, ..adamw }),
        Case::Lion(lion),
        Case::Lion(Lion { decay: 0.0, ..lion }),
        Case::Sgd(sgd, true),
        Case::Sgd(Momentum { nesterov: false, decay: 0.0, ..sgd }, true),
        Case::Sgd(sgd, false),
        Case::Sgd(Momentum { decay: 0.0, ..sgd }, false),
        Case::Muon(sgd),
        Case::Muon(Momentum { nesterov: false, decay: 0.0, ..sgd }),
    ]
}

/// Parameter, gradient, two slots and an average.
struct Data([Vec<f32>; 5]);

impl Data {
    fn new(n: usize) -> Self {
        let positive = |values: Vec<f32>| values.into_iter().map(|v| v * v).collect();
        Self([noise(n, 1), noise(n, 2), noise(n, 3), positive(noise(n, 4)), noise(n, 5)])
    }

    fn update(&self, case: Case, device: &Device) -> Update {
        let [value, grad, first, second, average] =
            self.0.each_ref().map(|values| Tensor::<1>::from_floats(values.as_slice(), device));
        let rule = match case {
            Case::Adamw(step) => Rule::Adamw(step, [first, second]),
            Case::Lion(step) => Rule::Lion(step, first),
            Case::Sgd(step, buffer) => Rule::Sgd(step, buffer.then_some(first)),
            Case::Muon(step) => Rule::Muon(step, Fold::new(&matrix(self.0[0].len())), first),
        };
        Update { value, grad, rule, average: Some(average) }
    }

    /// Parameter, slots and average after the step, in f64; Lion's direction is f32's, whose sign may differ near 0.
    fn right(&self, case: Case, clip: f64) -> Vec<Vec<f64>> {
        let n = self.0[0].len();
        let [p, g, m, v, a] = self.0.each_ref().map(|x| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
        let g: Vec<f64> = g.iter().map(|g| g * clip).collect();
        let each = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
        let (moved, slots) = match case {
            Case::Adamw(Adamw { rate, decay, betas: [b1, b2], eps, update }) => {
                let m = each(&|i| b1 * m[i] + (1.0 - b1) * g[i]);
                let v = each(&|i| b2 * v[i] + (1.0 - b2) * g[i] * g[i]);
                let [c1, c2] = [b1, b2].map(|b| 1.0 - b.powf(update as f64));
                let p = each(&|i| p[i] * (1.0 - rate * decay) - rate * (m[i] / c1) / ((v[i] / c2).sqrt() + eps));
                (p, vec![m, v])
            }
            Case::Lion(Lion { rate, decay, betas: [b1, b2] }) => {
                let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
                let p = each(&|i| p[i] * (1.0 - rate * decay) - rate * sign(b1 * m[i] + (1.0 - b1) * g[i]));
                (p, vec![each(&|i| b2 * m[i] + (1.0 - b2) * g[i])])
            }
            Case::Sgd(Momentum { rate, decay, momentum, nesterov }, buffer) => {
                let g = each(&|i| g[i] + decay * p[i]);
                let b = each(&|i| momentum * m[i] + g[i]);
                let ahead = each(&|i| if nesterov { g[i] + momentum * b[i] } else { b[i] });
                let change = if buffer { ahead } else { g };
                (each(&|i| p[i] - rate * change[i]), if buffer { vec![b] } else { vec![] })
            }
            Case::Muon(Momentum { rate, decay, momentum, nesterov }) => {
                let m = each(&|i| momentum * m[i] + (1.0 - momentum) * g[i]);
                let ahead = each(&|i| if nesterov { (1.0 - momentum) * g[i] + momentum * m[i] } else { m[i] });
                let [rows, columns] = matrix(n);
                let change = orthogonalised(ahead, rows, columns);
                let scale = (columns as f64 / rows as f64).max(1.0).sqrt();
                (each(&|i| p[i] * (1.0 - rate * decay) - rate * scale * change[i]), vec![m])
            }
        };
        let average = each(&|i| KEEP * a[i] + (1.0 - KEEP) * moved[i]);
        [vec![moved], slots, vec![average]].concat()
    }
}

/// A shape of `n` elements, wide or tall by turns.
fn matrix(n: usize) -> [usize; 2] {
    let rows = (1..=n.isqrt()).rev().find(|rows| n.is_multiple_of(*rows)).unwrap_or(1);
    let columns = n / rows;
    if n.is_multiple_of(3) { [columns, rows] } else { [rows, columns] }
}

fn orthogonalised(x: Vec<f64>, rows: usize, columns: usize) -> Vec<f64> {
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
    let mut x: Vec<f64> = x.iter().map(|x| x / norm).collect();
    // [rows, rows] times [rows, columns]: slow, but wide matrices here have few rows.
    for _ in 0..5 {
        let product = |a: &dyn Fn(usize, usize) -> f64, b: &dyn Fn(usize, usize) -> f64, m, k, n| -> Vec<f64> {
            (0..m * n).map(|at| (0..k).map(|i| a(at / n, i) * b(i, at % n)).sum()).collect()
        };
        let wide = rows <= columns;
        let (short, long) = (rows.min(columns), rows.max(columns));
        let at = |i: usize, j: usize| if wide { x[i * columns + j] } else { x[j * columns + i] };
        let gram = product(&at, &|i, j| at(j, i), short, long, short);
        let square = product(&|i, j| gram[i * short + j], &|i, j| gram[i * short + j], short, short, short);
        let mix: Vec<f64> = square.iter().zip(&gram).map(|(s, g)| 2.0315 * s - 4.7750 * g).collect();
        let turned = product(&|i, j| mix[i * short + j], &at, short, short, long);
        let index = |k: usize| if wide { k } else { (k % columns) * long + k / columns };
        x = (0..x.len()).map(|k| 3.4445 * x[k] + turned[index(k)]).collect();
    }
    x
}

/// Lengths that a rule is tried at: Muon's reference takes the square of the short side, so nothing long and square.
fn lengths(case: Case) -> Vec<usize> {
    match case {
        Case::Muon(_) => vec![1, 15, 17, 3 * 7 * 11, 4 * 4099],
        _ => LENGTHS.to_vec(),
    }
}

/// f32's rounding of a few operations; Muon's five iterations amplify it.
fn tolerance(case: Case) -> f64 {
    if matches!(case, Case::Muon(_)) { 2e-5 } else { 1e-6 }
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        for case in cases() {
            for (n, clip) in lengths(case).into_iter().flat_map(|n| [(n, 1.0), (n, 0.37)]) {
                let data = Data::new(n);
                let [found] = update(vec![data.update(case, &device)], clip, KEEP).try_into().unwrap();
                let found = [vec![found.value], found.slots, found.average.into_iter().collect()].concat();
                let right = data.right(case, clip);
                assert_eq!(found.len(), right.len());
                for (i, (found, right)) in found.into_iter().zip(right).enumerate() {
                    let what = format!("{name} {case:?} {n} x {clip}, tensor {i}");
                    close(&what, &values(found), &right, tolerance(case), tolerance(case));
                }
            }
        }
    }
}

/// Five iterations leave singular values between 0.7 and 1.2 whatever the rounding; bf16 keeps 8 bits of a factor.
#[test]
#[cfg(feature = "flex")]
fn muon_in_bf16_turns_the_same_way() {
    use kiln_kernels::{Products, with_products};
    let step = Momentum { rate: 1.0, decay: 0.0, momentum: 0.0, nesterov: false };
    let n = 65 * 130;
    let moved = |products| {
        with_products(products, || update(vec![Data::new(n).update(Case::Muon(step), &Device::flex())], 1.0, KEEP))
    };
    let [exact, low] = [Products::F32, Products::Bf16].map(|products| values(moved(products).remove(0).value));
    let start = Data::new(n).0[0].clone();
    let change = |to: &[f32]| to.iter().zip(&start).map(|(a, b)| f64::from(a - b)).collect::<Vec<f64>>();
    let (a, b) = (change(&exact), change(&low));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    assert!(cosine > 0.999, "{cosine}");
}

#[test]
fn many_at_once_are_each_one_alone() {
    for (name, device) in devices() {
        let all = |lengths: &[(usize, Case)]| {
            let updates = lengths.iter().map(|(n, case)| Data::new(*n).update(*case, &device)).collect();
            update(updates, 0.5, KEEP)
        };
        let list: Vec<(usize, Case)> =
            cases().into_iter().flat_map(|case| lengths(case).into_iter().map(move |n| (n, case))).collect();
        for (together, one) in all(&list).into_iter().zip(&list) {
            let [alone] = all(&[*one]).try_into().unwrap();
            assert_eq!(values(together.value), values(alone.value), "{name} {one:?}");
            for (a, b) in together.slots.into_iter().zip(alone.slots) {
                assert_eq!(values(a), values(b), "{name} {one:?}");
            }
        }
    }
}

#[test]
fn a_tensor_that_somebody_else_holds_is_not_changed() {
    for (name, device) in devices() {
        for case in cases() {
            let data = Data::new(4 * 4099);
            let given = data.update(case, &device);
            let kept = [given.value.clone(), given.grad.clone(), given.average.clone().unwrap()];
            let free = update(vec![data.update(case, &device)], 0.5, KEEP).remove(0);
            let held = update(vec![given], 0.5, KEEP).remove(0);
            assert_eq!(values(held.value), values(free.value), "{name} {case:?}");
            for (kept, i) in kept.into_iter().zip([0, 1, 4]) {
                assert_eq!(values(kept), data.0[i], "{name} {case:?}");
            }
        }
    }
}

#[test]
fn gradients_that_are_not_finite_show() {
    for (name, device) in devices() {
        for case in cases().into_iter().filter(|case| !matches!(case, Case::Muon(_))) {
            let mut data = Data::new(100);
            (data.0[1][7], data.0[1][90]) = (f32::NAN, f32::INFINITY);
            let after = update(vec![data.update(case, &device)], 1.0, KEEP).remove(0);
            // Lion steps by a sign, so its parameter may stay finite: its momentum does not.
            let shows = if let Case::Lion(_) = case { after.slots[0].clone() } else { after.value };
            let shows = values(shows);
            assert!(shows[7].is_nan() && !shows[90].is_finite(), "{name} {case:?}");
            assert_eq!(shows.iter().filter(|v| !v.is_finite()).count(), 2, "{name} {case:?}");
        }
        let grads = |bad: f32| vec![Tensor::<2>::from_floats([[1.0, bad], [0.5, 2.0]], &device)];
        assert!(values(norm(grads(f32::NAN)).unwrap())[0].is_nan(), "{name}");
        assert!(values(norm(grads(f32::INFINITY)).unwrap())[0].is_infinite(), "{name}");
    }
}

#[test]
fn the_norm_and_the_sum_are_right() {
    for (name, device) in devices() {
        assert!(norm(vec![]).is_none());
        let tensor = |n: usize, seed| Tensor::<1>::from_floats(noise(n, seed).as_slice(), &device);
        let exact: f64 = LENGTHS.iter().flat_map(|n| noise(*n, 6)).map(|x| f64::from(x).powi(2)).sum();
        // burn takes a 0 in a new shape for a dimension that stays.
        let found = norm(LENGTHS[1..].iter().map(|n| tensor(*n, 6).reshape([1, *n])).collect()).unwrap();
        assert_eq!(found.dims(), [1]);
        // Rows are summed in f32 where there is no override.
        close(name, &values(found), &[exact.sqrt()], 0.0, 1e-5);
        let sums = accumulate(
            LENGTHS.iter().map(|n| tensor(*n, 7)).collect(),
            LENGTHS.iter().map(|n| tensor(*n, 8)).collect(),
        );
        for (n, sum) in LENGTHS.into_iter().zip(sums) {
            let right: Vec<f32> = noise(n, 7).iter().zip(noise(n, 8)).map(|(a, b)| a + b).collect();
            assert_eq!(values(sum), right, "{name} {n}");
        }
    }
}

#[test]
#[cfg(feature = "flex")]
fn a_large_norm_does_not_overflow() {
    let large = Tensor::<2>::full([3, 1000], 1e30, &Device::flex());
    close("norm", &values(norm(vec![large]).unwrap()), &[1e30 * 3000f64.sqrt()], 0.0, 1e-6);
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let device = Device::flex();
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut all = vec![];
            for case in cases() {
                let after = update(vec![Data::new(4 * 4099).update(case, &device)], 0.5, KEEP).remove(0);
                all.extend([values(after.value), values(after.average.unwrap())].concat());
            }
            let grad = |n: usize| Tensor::<1>::from_floats(noise(n, 9).as_slice(), &device).reshape([1, n]);
            all.extend(values(norm(vec![grad(100_003), grad(5), grad(70_001)]).unwrap()));
            all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(3));
}

#[test]
#[cfg(feature = "flex")]
fn flex_changes_in_place_what_nobody_else_holds() {
    use burn::backend::Flex;
    let address = |tensor: &Tensor<1>| {
        let inner = tensor.clone().try_into_primitive::<Flex>().unwrap();
        inner.storage::<f32>().as_ptr().addr()
    };
    for case in cases() {
        let given = Data::new(4 * 4099).update(case, &Device::flex());
        let before = [address(&given.value), given.average.as_ref().map(&address).unwrap()];
        let after = update(vec![given], 0.5, KEEP).remove(0);
        assert_eq!(before, [address(&after.value), after.average.as_ref().map(&address).unwrap()], "{case:?}");
    }
    let [sum, grad] = [1, 2].map(|seed| Tensor::<1>::from_floats(noise(100, seed).as_slice(), &Device::flex()));
    let before = address(&sum);
    assert_eq!(before, address(&accumulate(vec![sum], vec![grad])[0]));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_length_matches_the_reference(n in 0usize..50_000, which in 0usize..8, clip in 0.01f64..2.0) {
        let (name, device) = devices().next().unwrap();
        let (case, data) = (cases()[which], Data::new(n));
        let found = update(vec![data.update(case, &device)], clip, KEEP).remove(0);
        close(&format!("{name} {case:?} {n}"), &values(found.value), &data.right(case, clip)[0], 1e-6, 1e-6);
    }
}
