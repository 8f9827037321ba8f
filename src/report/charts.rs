//! The page's pictures, as SVG that scales with its place.

use plotters::{coord::Shift, prelude::*};

use crate::{
    error::{Error, Result},
    metric::{Calibration, Predictions, Ranking, Truth},
};

const INK: RGBColor = RGBColor(28, 36, 48);
const MUTED: RGBColor = RGBColor(118, 128, 144);
const GRID: RGBColor = RGBColor(234, 238, 243);
/// The first colour is the network's own.
pub(super) const COLORS: [RGBColor; 6] = [
    RGBColor(47, 99, 214),
    RGBColor(226, 112, 52),
    RGBColor(26, 152, 104),
    RGBColor(146, 82, 190),
    RGBColor(196, 56, 84),
    RGBColor(40, 150, 176),
];

const SIZE: (u32, u32) = (460, 340);
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// A line through points.
pub(super) struct Line {
    pub points: Vec<(f64, f64)>,
    pub color: usize,
    pub width: u32,
    pub dots: bool,
}

/// The room a picture spans, and what its axes say.
pub(super) struct Axes<'a> {
    pub x: (f64, f64),
    pub y: (f64, f64),
    pub x_name: &'a str,
    pub y_name: &'a str,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawn(draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>) -> Result<String> {
    drawn_in(SIZE, draw)
}

fn drawn_in(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = draw(&area).and_then(|()| area.present().map_err(Into::into));
        drawn.map_err(|e| Error::failed(format!("a picture could not be drawn: {e}")))?;
    }
    // Without a size of its own it takes its place's.
    Ok(svg.replacen(&format!("width=\"{}\" height=\"{}\" ", size.0, size.1), "", 1))
}

/// Lines over a grid; `diagonal` adds the line of chance or of perfect calibration.
pub(super) fn lines(axes: &Axes<'_>, lines: &[Line], diagonal: bool) -> Result<String> {
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d(axes.x.0..axes.x.1, axes.y.0..axes.y.1)?;
        mesh(&mut chart, axes)?;
        if diagonal {
            let ends = [(axes.x.0, axes.y.0), (axes.x.1, axes.y.1)];
            chart.draw_series(DashedLineSeries::new(ends, 4, 4, MUTED.stroke_width(1)))?;
        }
        for line in lines {
            let color = COLORS[line.color % COLORS.len()];
            chart.draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(line.width)))?;
            if line.dots {
                chart.draw_series(line.points.iter().map(|&point| Circle::new(point, 3, color.filled())))?;
            }
        }
        Ok(())
    })
}

type Plain<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn mesh(chart: &mut Plain<'_, '_>, axes: &Axes<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let span = |(low, high): (f64, f64)| high - low;
    let (x_digits, y_digits) = (digits(span(axes.x)), digits(span(axes.y)));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels(6)
        .y_labels(6)
        .x_desc(axes.x_name)
        .y_desc(axes.y_name)
        .x_label_formatter(&|v| format!("{v:.x_digits$}"))
        .y_label_formatter(&|v| format!("{v:.y_digits$}"))
        .axis_desc_style((FONT, 13, &INK))
        .label_style((FONT, 12, &MUTED))
        .draw()?;
    Ok(())
}

/// Digits after the point that tell five labels of a span apart.
fn digits(span: f64) -> usize {
    (1 - (span.max(1e-9)).log10().floor() as i32).clamp(0, 6) as usize
}

/// Points over a grid, with the line on which prediction and truth are one.
pub(super) fn scatter(axes: &Axes<'_>, points: &[(f64, f64)]) -> Result<String> {
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d(axes.x.0..axes.x.1, axes.y.0..axes.y.1)?;
        mesh(&mut chart, axes)?;
        let ends = [(axes.x.0, axes.y.0), (axes.x.1, axes.y.1)];
        chart.draw_series(DashedLineSeries::new(ends, 4, 4, MUTED.stroke_width(1)))?;
        let dot = COLORS[0].mix(0.45).filled();
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, dot)))?;
        Ok(())
    })
}

/// How many values fall into each part of their range.
pub(super) fn histogram(values: &[f64], x_name: &str) -> Result<String> {
    const BARS: usize = 30;
    let (low, high) = bounds(values.iter().copied());
    let width = (high - low) / BARS as f64;
    let mut counts = [0usize; BARS];
    for value in values {
        let bar = ((value - low) / width) as usize;
        counts[bar.min(BARS - 1)] += 1;
    }
    let top = counts.iter().copied().max().unwrap_or(1) as f64 * 1.08;
    let axes = Axes { x: (low, high), y: (0.0, top), x_name, y_name: "rows" };
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d(low..high, 0.0..top)?;
        mesh(&mut chart, &axes)?;
        let bar = |(i, &count): (usize, &usize)| {
            let left = low + i as f64 * width;
            let corners = [(left + 0.08 * width, 0.0), (left + 0.92 * width, count as f64)];
            Rectangle::new(corners, COLORS[0].mix(0.75).filled())
        };
        chart.draw_series(counts.iter().enumerate().map(bar))?;
        Ok(())
    })
}

/// A small histogram without a grid; `say` words a place on its axis.
pub(super) fn strip(shares: &[f64], (low, high): (f64, f64), say: &dyn Fn(f64) -> String) -> Result<String> {
    const STRIP: (u32, u32) = (340, 130);
    let top = shares.iter().copied().fold(1e-12, f64::max) * 1.05;
    let width = (high - low) / shares.len().max(1) as f64;
    drawn_in(STRIP, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_left(16)
            .margin_right(16)
            .x_label_area_size(24)
            .build_cartesian_2d(low..high, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(GRID)
            .x_labels(4)
            .x_label_formatter(&|v| say(*v))
            .label_style((FONT, 13, &MUTED))
            .draw()?;
        let bar = |(i, &share): (usize, &f64)| {
            let left = low + i as f64 * width;
            // What is there at all is seen.
            let height = if share > 0.0 { share.max(0.012 * top) } else { 0.0 };
            Rectangle::new([(left + 0.06 * width, 0.0), (left + 0.94 * width, height)], COLORS[0].mix(0.75).filled())
        };
        chart.draw_series(shares.iter().enumerate().map(bar))?;
        Ok(())
    })
}

/// Reliability: bars of what came true over the dashed line of perfect calibration, and a line after scaling.
pub(super) fn reliability(plain: &Calibration, scaled: Option<&Calibration>) -> Result<String> {
    let points = |c: &Calibration| c.bins.iter().map(|b| (b.confidence, b.accuracy)).collect();
    let mut all = vec![Line { points: points(plain), color: 0, width: 2, dots: true }];
    all.extend(scaled.map(|c| Line { points: points(c), color: 1, width: 2, dots: true }));
    let least = all.iter().flat_map(|line| &line.points).map(|p| p.0).fold(1.0, f64::min);
    let low = if least >= 0.5 { 0.5 } else { 0.0 };
    let axes = Axes { x: (low, 1.0), y: (0.0, 1.0), x_name: "confidence", y_name: "share that came true" };
    if low == 0.0 {
        return lines(&axes, &all, true);
    }
    // From 0.5 on, the line of perfect calibration is no diagonal of the picture.
    all.insert(0, Line { points: vec![(0.5, 0.5), (1.0, 1.0)], color: 5, width: 1, dots: false });
    lines(&axes, &all, false)
}

/// The ROC and the precision-recall curve of every class against the rest; of two classes, class 1's alone.
pub(super) fn ranking_curves(predictions: &Predictions) -> Result<Option<(String, String)>> {
    let Truth::Classes(ids) = &predictions.truth else { return Ok(None) };
    let classes: Vec<usize> = if predictions.width == 2 { vec![1] } else { (0..predictions.width).collect() };
    if classes.len() > COLORS.len() {
        return Ok(None);
    }
    let (mut roc, mut pr) = (Vec::new(), Vec::new());
    for (color, class) in classes.into_iter().enumerate() {
        let scores = predictions.outputs.iter().skip(class).step_by(predictions.width);
        let points = Ranking::new(scores.zip(ids).map(|(p, id)| (*p, *id as usize == class))).points();
        let Some(&(_, positives, negatives)) = points.last() else { continue };
        if positives == 0 || negatives == 0 {
            continue;
        }
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        let points = thinned(points);
        let of = |points: Vec<(f64, f64)>| Line { points, color, width: 2, dots: false };
        roc.push(of(points.iter().map(|p| (share(p.2, negatives), share(p.1, positives))).collect()));
        pr.push(of(points
            .iter()
            .filter(|p| p.1 + p.2 > 0)
            .map(|p| (share(p.1, positives), share(p.1, p.1 + p.2)))
            .collect()));
    }
    let unit = (0.0, 1.0);
    let of_roc = Axes { x: unit, y: unit, x_name: "false positive rate", y_name: "true positive rate" };
    let of_pr = Axes { x: unit, y: unit, x_name: "recall", y_name: "precision" };
    Ok(Some((lines(&of_roc, &roc, true)?, lines(&of_pr, &pr, false)?)))
}

/// At most some hundred of many points: more are not seen.
fn thinned<T: Copy>(points: Vec<T>) -> Vec<T> {
    const SEEN: usize = 600;
    let every = points.len().div_ceil(SEEN).max(1);
    let last = points.last().copied();
    let mut kept: Vec<T> = points.into_iter().step_by(every).collect();
    kept.extend(last.filter(|_| every > 1));
    kept
}

/// Loss over steps, training and validation.
pub(super) fn training(train: Vec<(f64, f64)>, validation: Vec<(f64, f64)>) -> Result<String> {
    let train = thinned(train);
    let all = || train.iter().chain(&validation);
    let (_, last) = bounds(all().map(|p| p.0));
    let mut heights: Vec<f64> = all().map(|p| p.1).collect();
    heights.sort_by(f64::total_cmp);
    // The first losses would flatten all that follows.
    let top = crate::metric::quantile(&heights, 0.9).unwrap_or(1.0) * 1.25;
    let least = heights.first().copied().unwrap_or(0.0);
    let low = if least > 0.5 * top { least - 0.1 * (top - least) } else { 0.0_f64.min(least) };
    let axes = Axes { x: (0.0, last), y: (low, top), x_name: "step", y_name: "loss" };
    let inside = |points: Vec<(f64, f64)>| points.into_iter().map(|(x, y)| (x, y.clamp(low, top))).collect();
    let thin = Line { points: inside(train), color: 0, width: 1, dots: false };
    let thick = Line { points: inside(validation), color: 1, width: 2, dots: true };
    lines(&axes, &[thin, thick], false)
}

/// The least and the largest value, never the same.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    match low.partial_cmp(&high) {
        Some(std::cmp::Ordering::Less) => (low, high),
        Some(std::cmp::Ordering::Equal) => (low - 0.5, high + 0.5),
        _ => (0.0, 1.0),
    }
}
