//! Line charts as SVG.

use std::fmt::Write as _;

use super::escape;

const WIDTH: f64 = 510.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 46.0;
/// Told apart by people who see few colours, too.
const COLOURS: [&str; 6] = ["#0b6bb0", "#d55e00", "#009e73", "#b03a8c", "#8a6d00", "#555f6d"];

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scale {
    /// From zero on.
    Linear,
    Log,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// Drawn hollow where it is not.
    pub valid: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<Point>,
    pub dashed: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub y_scale: Scale,
    pub series: Vec<Series>,
}

/// One axis: where a value lies, and the values that have a line.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<f64>,
}

impl Axis {
    fn linear(values: impl Iterator<Item = f64>) -> Axis {
        let most = values.fold(0.0, f64::max).max(1e-9);
        let rough = most / 5.0;
        let magnitude = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * magnitude).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let count = (most / step).ceil().max(1.0);
        Axis {
            low: 0.0,
            high: count * step,
            log: false,
            ticks: (0..=count as u32).map(|i| f64::from(i) * step).collect(),
        }
    }

    fn log(values: impl Iterator<Item = f64>) -> Axis {
        let (least, most) =
            values.filter(|v| *v > 0.0).fold((f64::MAX, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
        if most == 0.0 {
            return Axis { low: 1.0, high: 10.0, log: true, ticks: vec![1.0, 10.0] };
        }
        let low = least.log10().floor() as i32;
        let high = (most.log10().ceil() as i32).max(low + 1);
        let ticks = (low..=high).map(|power| 10f64.powi(power)).collect();
        Axis { low: 10f64.powi(low), high: 10f64.powi(high), log: true, ticks }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        if self.log {
            (value.max(self.low).log10() - self.low.log10()) / (self.high.log10() - self.low.log10())
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

impl Chart {
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x_axis = Axis::linear(points().map(|point| point.x));
        let y_values = points().map(|point| point.y);
        let y_axis = if self.y_scale == Scale::Log { Axis::log(y_values) } else { Axis::linear(y_values) };
        let x = |value: f64| LEFT + x_axis.place(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - y_axis.place(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#414b59\"><title>{0}</title>\
             <text x=\"{LEFT}\" y=\"16\" font-size=\"14\" font-weight=\"600\" fill=\"#1d2430\">{0}</text>\n",
            escape(&self.title)
        );
        draw_ticks(&mut svg, &x_axis, &y_axis, &x, &y);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {:.0}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escape(&self.x_label),
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escape(&self.y_label)
        );
        let mut legend_at = LEFT;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            draw(&mut svg, series, colour, &x, &y);
            let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let _ = writeln!(
                svg,
                "<line x1=\"{legend_at:.0}\" x2=\"{:.0}\" y1=\"34\" y2=\"34\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>\
                 <text x=\"{:.0}\" y=\"38\">{}</text>",
                legend_at + 18.0,
                legend_at + 23.0,
                escape(&series.name)
            );
            legend_at += 38.0 + 6.6 * series.name.chars().count() as f64;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn draw_ticks(
    svg: &mut String,
    x_axis: &Axis,
    y_axis: &Axis,
    x: &impl Fn(f64) -> f64,
    y: &impl Fn(f64) -> f64,
) {
    for &tick in &y_axis.ticks {
        let (at, text) = (y(tick), number(tick));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e6eaef\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            WIDTH - RIGHT,
            LEFT - 7.0,
            at + 4.0
        );
    }
    for &tick in &x_axis.ticks {
        let (at, text) = (x(tick), number(tick));
        let bottom = HEIGHT - BOTTOM;
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\" stroke=\"#9aa3af\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            bottom + 5.0,
            bottom + 18.0
        );
    }
}

fn draw(svg: &mut String, series: &Series, colour: &str, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) {
    let line: Vec<String> = series.points.iter().map(|p| format!("{:.1},{:.1}", x(p.x), y(p.y))).collect();
    let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
        line.join(" ")
    );
    if series.dashed {
        return;
    }
    for point in &series.points {
        let fill = if point.valid { colour } else { "#fff" };
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"><title>{}: {} at {}</title></circle>",
            x(point.x),
            y(point.y),
            escape(&series.name),
            number(point.y),
            number(point.x)
        );
    }
}

/// A figure as people write it: thousands apart, no digits that say nothing.
#[must_use]
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    let digits = if magnitude >= 100.0 || value.fract().abs() < 1e-9 {
        0
    } else if magnitude >= 10.0 {
        1
    } else if magnitude >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut parts = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && digit.is_ascii_digit() && !parts.ends_with('-') {
            parts.push(',');
        }
        parts.push(digit);
    }
    if rest.is_empty() {
        parts
    } else {
        format!("{parts}.{rest}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Chart, Point, Scale, Series, number};

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (12_345.6, "12,346"),
            (1_000_000.0, "1,000,000"),
            (123.0, "123"),
            (12.34, "12.3"),
            (1.5, "1.5"),
            (0.05, "0.05"),
            (0.001, "0.001"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn axes_have_round_numbers_around_all_values() {
        let axis = Axis::linear([3.0, 87_000.0].into_iter());
        assert_eq!(axis.ticks, [0.0, 20_000.0, 40_000.0, 60_000.0, 80_000.0, 100_000.0]);
        let axis = Axis::log([0.3, 45.0].into_iter());
        assert_eq!((axis.low, axis.high), (0.1, 100.0));
        assert!((axis.place(0.1), axis.place(100.0)) == (0.0, 1.0));
        assert!((axis.place(1.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(Axis::log([].into_iter()).ticks.len(), 2, "no values at all");
    }

    #[test]
    fn a_chart_has_its_points_and_escapes_its_texts() {
        let points = vec![Point { x: 1.0, y: 1.0, valid: true }, Point { x: 2.0, y: 10.0, valid: false }];
        let series = vec![Series { name: "a < b".into(), points, dashed: false }];
        let chart = Chart {
            title: "T & U".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            y_scale: Scale::Log,
            series,
        };
        let svg = chart.svg();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("fill=\"#fff\" stroke").count(), 1, "an invalid point is hollow");
        assert!(svg.contains("T &amp; U") && svg.contains("a &lt; b"));
    }
}
