//! Where the elements of a convolution lie once the picture is padded: everything that depends on shapes alone.
//!
//! A padded picture is cut into `stride` x `stride` phases, each a plane of its own: tap `(i, j)` of the kernel then
//! reads phase `(i % stride, j % stride)` at a fixed offset, whatever the position. Rows of a plane are `width` apart,
//! as are the rows of the output that is computed: positions are one flat index, and the few columns past the map's
//! own are computed and thrown away. So a convolution of any stride is a product in which every row of one operand is
//! the same buffer at another offset, and nothing is copied out as im2col does.

use super::Conv2dOptions;

/// The longest vector, in elements: what a kernel may read past the end.
const SLACK: usize = 16;

/// Shapes, strides and offsets of one convolution; `[rows, columns]` where there are two.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub picture: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub relu: bool,
    pub pool: bool,
    /// The output before pooling, and the output.
    pub map: [usize; 2],
    pub pooled: [usize; 2],
    /// Rows of a plane.
    height: usize,
    /// Elements between two rows of a plane.
    pub width: usize,
    /// Phases that a tap reads.
    pub phases: [usize; 2],
    /// Elements of a padded plane, and of a padded plane of the output's gradient.
    pub plane: usize,
    pub gradient_plane: usize,
    /// Where the gradient begins within its plane: before it the kernel's reach of zeros.
    pub front: usize,
}

impl Geometry {
    /// `x` `[b, inputs, h, w]`, `weight` `[outputs, inputs, kh, kw]`.
    pub(super) fn new(x: [usize; 4], weight: [usize; 4], options: Conv2dOptions) -> Self {
        let ([batch, inputs, h, w], [outputs, _, kh, kw]) = (x, weight);
        let Conv2dOptions { stride, padding, relu, pool } = options;
        let map = options.map([h, w], [kh, kw]);
        let reach = [(kh - 1) / stride[0], (kw - 1) / stride[1]];
        let (height, width) = (map[0] + reach[0], map[1] + reach[1]);
        let front = reach[0] * width + reach[1];
        let rounded = |n: usize| n.next_multiple_of(SLACK);
        Self {
            batch,
            inputs,
            outputs,
            picture: [h, w],
            kernel: [kh, kw],
            stride,
            padding,
            relu,
            pool,
            map,
            pooled: options.pooled(map),
            height,
            width,
            phases: [stride[0].min(kh), stride[1].min(kw)],
            plane: rounded(height * width + reach[1] + SLACK),
            gradient_plane: rounded(front + height * width + SLACK),
            front,
        }
    }

    /// Taps of the whole kernel: columns of the weights as a matrix.
    pub(super) fn taps(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Planes of a padded picture.
    pub(super) fn planes(&self) -> usize {
        self.inputs * self.phases[0] * self.phases[1]
    }

    /// Where each tap begins within a padded picture, in the order of the weights.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let [kh, kw] = self.kernel;
        let taps = (0..self.inputs).flat_map(|c| (0..kh).flat_map(move |i| (0..kw).map(move |j| (c, i, j))));
        taps.map(|(c, i, j)| {
            let plane = (c * self.phases[0] + i % self.stride[0]) * self.phases[1] + j % self.stride[1];
            plane * self.plane + i / self.stride[0] * self.width + j / self.stride[1]
        })
        .collect()
    }

    /// The taps of a phase, `(row, column)` of the kernel.
    pub(super) fn phase_taps(&self, phase: [usize; 2]) -> Vec<(usize, usize)> {
        let rows = (phase[0]..self.kernel[0]).step_by(self.stride[0]);
        rows.flat_map(|i| (phase[1]..self.kernel[1]).step_by(self.stride[1]).map(move |j| (i, j))).collect()
    }

    /// Where the gradient of the output lies for a tap that the same position of a padded picture meets.
    pub(super) fn gradient_offset(&self, output: usize, (i, j): (usize, usize)) -> usize {
        output * self.gradient_plane + self.front - (i / self.stride[0] * self.width + j / self.stride[1])
    }

    /// The part of a phase that the picture fills in one dimension: first and last position, and the first pixel.
    #[inline(always)]
    pub(super) fn within(&self, dimension: usize, phase: usize) -> (usize, usize, usize) {
        let (side, stride, padding) = (self.picture[dimension], self.stride[dimension], self.padding[dimension]);
        let positions = [self.height, self.width][dimension];
        let first = padding.saturating_sub(phase).div_ceil(stride);
        let end = (side + padding).saturating_sub(phase).div_ceil(stride).min(positions);
        if first < end { (first, end, first * stride + phase - padding) } else { (0, 0, 0) }
    }

    /// Elements of a picture.
    pub(super) fn pixels(&self) -> usize {
        self.inputs * self.picture[0] * self.picture[1]
    }

    /// Elements of one picture's output.
    pub(super) fn results(&self) -> usize {
        self.outputs * self.pooled[0] * self.pooled[1]
    }

    /// Rows that are computed together, so that what they write stays in the cache; even, for the pool.
    pub(super) fn band(&self) -> usize {
        const POSITIONS: usize = 1024;
        (POSITIONS / self.width / 2 * 2).max(2)
    }
}
