use burn::tensor::{Distribution, Tolerance, module::attention_fallback, ops::AttentionModuleOptions};

use super::*;

fn layer(heads: usize, kv_heads: usize, dropout: f64, device: &Device) -> Attention {
    let config = AttentionConfig { width: 8 * heads, heads, kv_heads, bias: true, std: 0.2, output_std: 0.2, dropout };
    config.init(device)
}

#[test]
fn equals_burns_reference_with_and_without_a_cache() {
    let device = Device::flex();
    device.seed(1);
    let layer = layer(4, 2, 0.0, &device);
    let joint = Tensor::<3>::random([2, 5, 64], Distribution::Normal(0.0, 1.0), &device);
    let part = |first: usize, heads: usize| {
        joint.clone().narrow(2, first * 8, heads * 8).reshape([2, 5, heads, 8]).swap_dims(1, 2)
    };
    // Key head i serves query heads 2i and 2i + 1.
    let spread = |x: Tensor<4>| x.unsqueeze_dim::<5>(2).expand([2, 2, 2, 5, 8]).reshape([2, 4, 5, 8]);
    let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
    let right = attention_fallback(part(0, 4), spread(part(4, 2)), spread(part(6, 2)), None, None, options);
    let right = right.swap_dims(1, 2).reshape([2, 5, 32]).into_data();
    let sight = Sight::causal(0);
    let fused = attention(joint.clone(), None, layer.options(&joint, &sight));
    fused.into_data().assert_approx_eq::<f32>(&right, Tolerance::absolute(1e-5));
    let mut cache = KvCache::new(2, 2, 5, 8, &device);
    let composed = layer.continued(joint.clone(), &sight, &mut cache);
    composed.into_data().assert_approx_eq::<f32>(&right, Tolerance::absolute(1e-5));
}

#[test]
fn causal_output_ignores_the_future() {
    let device = Device::flex();
    device.seed(2);
    let layer = layer(2, 2, 0.0, &device);
    let x = Tensor::<3>::random([1, 4, 16], Distribution::Default, &device);
    let changed = x.clone().slice_assign([0..1, 3..4, 0..16], Tensor::ones([1, 1, 16], &device));
    let first = |x| layer.forward(x, &Sight::causal(0), None).narrow(1, 0, 3).into_data();
    assert_eq!(first(x.clone()), first(changed.clone()));
    let full = |x| layer.forward(x, &Sight::full(), None).narrow(1, 0, 3).into_data();
    assert_ne!(full(x), full(changed));
}

#[test]
fn padding_is_not_seen() {
    let device = Device::flex();
    device.seed(4);
    let layer = layer(2, 2, 0.0, &device);
    let x = Tensor::<3>::random([2, 3, 16], Distribution::Default, &device);
    let alone = layer.forward(x.clone(), &Sight::full(), None);
    let padded = Tensor::cat(vec![x, Tensor::full([2, 2, 16], 9.0, &device)], 1);
    let lengths = Tensor::<1>::from_data([3.0, 3.0], &device);
    let found = layer.forward(padded, &Sight::within(lengths), None).narrow(1, 0, 3);
    found.into_data().assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn a_cache_filled_in_two_pieces_equals_one_pass() {
    let device = Device::flex();
    device.seed(3);
    let layer = layer(4, 2, 0.0, &device);
    let x = Tensor::<3>::random([2, 5, 32], Distribution::Default, &device);
    let whole = layer.forward(x.clone(), &Sight::causal(0), None);
    let mut cache = KvCache::new(2, 2, 6, 8, &device);
    let head = layer.forward(x.clone().narrow(1, 0, 2), &Sight::causal(0), Some(&mut cache));
    let tail = layer.forward(x.narrow(1, 2, 3), &Sight::causal(2), Some(&mut cache));
    let pieces = Tensor::cat(vec![head, tail], 1);
    pieces.into_data().assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn dropout_acts_in_training_only() {
    let device = Device::flex().autodiff();
    let layer = layer(2, 2, 0.5, &device);
    let x = Tensor::<3>::ones([1, 4, 16], &device);
    let run = |layer: &Attention, x: &Tensor<3>| layer.forward(x.clone(), &Sight::full(), None).into_data();
    assert_ne!(run(&layer, &x), run(&layer, &x));
    let (valid, plain) = (layer.valid(), x.clone().inner());
    assert_eq!(run(&valid, &plain), run(&valid, &plain));
    assert_eq!(run(&valid, &x), run(&valid, &plain), "even when the input is still on the autodiff device");
}
