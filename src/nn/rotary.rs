//! Rotary position embedding.

use burn::tensor::{Device, Tensor, TensorData};

use super::{cast_like, to_f32};

/// The angles of a run of positions (Su et al. 2021, RoFormer), pairing element `i` with `i + d/2` as Llama does.
///
/// Made once per forward pass and shared by all blocks; there is nothing to learn or to save.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor<2>, // [t, d/2]
    sin: Tensor<2>, // [t, d/2]
}

impl Rotary {
    /// Angles `position * 10000^(-2i/d)` of `t` positions starting at `first`, for heads of even width `head`.
    pub fn new(head: usize, first: usize, t: usize, device: &Device) -> Self {
        let half = head / 2;
        // On the host in f64: an f32 angle of position 100,000 is already off by 0.004.
        let angles = (first..first + t).flat_map(|position| {
            (0..half).map(move |i| position as f64 * 10_000f64.powf(-2.0 * i as f64 / head as f64))
        });
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        let tensor = |values| Tensor::from_data(TensorData::new(values, [t, half]), device);
        Self { cos: tensor(cos), sin: tensor(sin) }
    }

    /// The cosines and sines, `[t, d/2]` each.
    pub fn angles(&self) -> (Tensor<2>, Tensor<2>) {
        (self.cos.clone(), self.sin.clone())
    }

    /// Rotates queries or keys, `[b, h, t, d]` to the same shape and dtype; computes in f32.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, _, head] = x.dims();
        let wide = to_f32(x.clone());
        let first = wide.clone().narrow(3, 0, head / 2); // [b, h, t, d/2]
        let second = wide.narrow(3, head / 2, head / 2);
        let (cos, sin) = (self.cos.clone().unsqueeze::<4>(), self.sin.clone().unsqueeze::<4>());
        let turned = vec![
            first.clone() * cos.clone() - second.clone() * sin.clone(), // [b, h, t, d/2]
            second * cos + first * sin,
        ];
        cast_like(Tensor::cat(turned, 3), &x)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn rotates_pairs_by_the_position() {
        let device = Device::flex();
        let x = Tensor::<1>::from_data([1.0f32, 0.0, 0.0, 1.0], &device).reshape([1, 1, 1, 4]);
        let found = Rotary::new(4, 3, 1, &device).rotate(x).into_data().try_to_vec::<f32>().unwrap();
        let (fast, slow) = (3.0f32, 0.03f32); // 3 * 10000^0, 3 * 10000^(-1/2)
        let expected = [fast.cos(), -slow.sin(), fast.sin(), slow.cos()];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn products_depend_on_distance_only() {
        let device = Device::flex();
        device.seed(1);
        let draw = || Tensor::<4>::random([1, 1, 1, 8], Distribution::Default, &device);
        let (q, k) = (draw(), draw());
        let product = |a: usize, b: usize| {
            let turn = |x: &Tensor<4>, at| Rotary::new(8, at, 1, &device).rotate(x.clone());
            (turn(&q, a) * turn(&k, b)).sum().into_scalar::<f32>()
        };
        assert!((product(7, 4) - product(103, 100)).abs() < 1e-4);
    }
}
