//! Attention in f64, with every weight written out.

use kiln_kernels::AttentionOptions;

/// What weights are multiplied by after the softmax, `[b, h, t, t]`: 0 where one is dropped.
pub type Mask<'a> = Option<&'a [f64]>;

#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub b: usize,
    pub t: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub d: usize,
    pub causal: bool,
    pub rotary: bool,
}

impl Case {
    pub fn width(self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.d
    }

    pub fn options(self, dropout: f64) -> AttentionOptions {
        AttentionOptions { heads: self.heads, kv_heads: self.kv_heads, causal: self.causal, dropout }
    }

    /// Of element `i` of a head at position `t`; faster than in any model, so that an error shows at few positions.
    pub fn angle(self, t: usize, i: usize) -> f64 {
        t as f64 * 0.7f64.powi(i as i32)
    }

    /// Output `[b, t, h d]`.
    pub fn forward(self, joint: &[f64], mask: Mask<'_>) -> Vec<f64> {
        let mut y = vec![0.0; self.b * self.t * self.heads * self.d];
        for (b, h) in (0..self.b).flat_map(|b| (0..self.heads).map(move |h| (b, h))) {
            let [q, k, v] = self.parts(joint, b, h);
            let weights = self.weights(&q, &k);
            for (i, row) in weights.iter().enumerate() {
                let at = self.column(b, i, h);
                for (j, weight) in row.iter().enumerate() {
                    let weight = weight * self.kept(mask, [b, h, i, j]);
                    (0..self.d).for_each(|c| y[at + c] += weight * v[j][c]);
                }
            }
        }
        y
    }

    /// The gradient of `sum(y * dy)` with respect to `joint`.
    pub fn backward(self, joint: &[f64], dy: &[f64], mask: Mask<'_>) -> Vec<f64> {
        let mut out = vec![0.0; joint.len()];
        let scale = 1.0 / (self.d as f64).sqrt();
        for (b, h) in (0..self.b).flat_map(|b| (0..self.heads).map(move |h| (b, h))) {
            let [q, k, v] = self.parts(joint, b, h);
            let (mut dq, mut dk) = (vec![vec![0.0; self.d]; self.t], vec![vec![0.0; self.d]; self.t]);
            let [first, key, value] = self.columns(h);
            for (i, row) in self.weights(&q, &k).iter().enumerate() {
                let at = self.column(b, i, h);
                let dy = &dy[at..at + self.d];
                let kept: Vec<f64> = (0..self.t).map(|j| self.kept(mask, [b, h, i, j])).collect();
                let dweights: Vec<f64> = v.iter().zip(&kept).map(|(v, kept)| dot(v, dy) * kept).collect();
                let along = dot(&dweights, row);
                for (j, weight) in row.iter().enumerate() {
                    let dscore = weight * (dweights[j] - along) * scale;
                    for c in 0..self.d {
                        dq[i][c] += dscore * k[j][c];
                        dk[j][c] += dscore * q[i][c];
                        out[(b * self.t + j) * self.width() + value + c] += weight * kept[j] * dy[c];
                    }
                }
            }
            for t in 0..self.t {
                let (dq, dk) = (self.turn(&dq[t], t, -1.0), self.turn(&dk[t], t, -1.0));
                let row = (b * self.t + t) * self.width();
                (0..self.d).for_each(|c| out[row + first + c] += dq[c]);
                (0..self.d).for_each(|c| out[row + key + c] += dk[c]);
            }
        }
        out
    }

    fn kept(self, mask: Mask<'_>, [b, h, i, j]: [usize; 4]) -> f64 {
        mask.map_or(1.0, |mask| mask[((b * self.heads + h) * self.t + i) * self.t + j])
    }

    fn column(self, b: usize, t: usize, h: usize) -> usize {
        ((b * self.t + t) * self.heads + h) * self.d
    }

    /// Where the query, key and value of query head `h` start in a row of `joint`.
    fn columns(self, h: usize) -> [usize; 3] {
        let kv = h / (self.heads / self.kv_heads);
        [h, self.heads + kv, self.heads + self.kv_heads + kv].map(|head| head * self.d)
    }

    /// Query, key and value of a head, one row a position, turned.
    fn parts(self, joint: &[f64], b: usize, h: usize) -> [Vec<Vec<f64>>; 3] {
        let [q, k, v] = self.columns(h);
        let part = |first: usize| move |t: usize| joint[(b * self.t + t) * self.width() + first..][..self.d].to_vec();
        let turned = |first: usize| (0..self.t).map(|t| self.turn(&part(first)(t), t, 1.0)).collect();
        [turned(q), turned(k), (0..self.t).map(part(v)).collect()]
    }

    fn turn(self, x: &[f64], t: usize, sign: f64) -> Vec<f64> {
        if !self.rotary {
            return x.to_vec();
        }
        let half = self.d / 2;
        let pair = |i: usize| (x[i], x[i + half], self.angle(t, i).cos(), sign * self.angle(t, i).sin());
        let first = (0..half).map(pair).map(|(a, b, cos, sin)| a * cos - b * sin);
        first.chain((0..half).map(pair).map(|(a, b, cos, sin)| b * cos + a * sin)).collect()
    }

    fn weights(self, q: &[Vec<f64>], k: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let row = |i: usize| {
            let seen = if self.causal { i + 1 } else { self.t };
            let score = |k: &Vec<f64>| dot(&q[i], k) / (self.d as f64).sqrt();
            let scores: Vec<f64> = k[..seen].iter().map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| power / sum).chain(std::iter::repeat_n(0.0, self.t - seen)).collect()
        };
        (0..self.t).map(row).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
