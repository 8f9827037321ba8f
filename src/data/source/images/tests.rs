use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::json;

use super::*;
use crate::data::source::Kept;

fn config(size: usize, channels: usize) -> DataConfig {
    let config = json!({"task": "classification", "source": {"path": "x"}, "channels": channels,
        "image_size": [size, size]});
    serde_json::from_value(config).unwrap()
}

fn paint(path: PathBuf, size: u32, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(size, size, Rgb(colour)).save(path).unwrap();
}

#[test]
fn classes_are_sorted_and_pictures_channel_first() {
    let folder = tempfile::tempdir().unwrap();
    paint(folder.path().join("red/b.png"), 4, [255, 0, 9]);
    paint(folder.path().join("blue/a.jpg"), 8, [0, 0, 254]);
    fs::write(folder.path().join("red/notes.txt"), "").unwrap();
    let mut kept = Kept::default();
    let records = read(folder.path(), &config(2, 3), 0, &mut kept).unwrap();
    assert_eq!(records.target, TargetSchema::Classes { names: vec!["blue".into(), "red".into()] });
    let red = (None, [[255.0; 4], [0.0; 4], [9.0; 4]].concat(), vec![1.0]);
    assert_eq!((kept.rows.len(), &kept.rows[1]), (2, &red));
    let path = folder.path().join("red/b.png");
    let schema =
        Schema { input: records.input, target: records.target, table: None, scale: None, bytes_per_token: None };
    assert_eq!(read_one(&path, &schema).unwrap(), [[255u8; 4], [0; 4], [9; 4]].concat());
}

#[test]
fn top_folders_give_the_split() {
    let folder = tempfile::tempdir().unwrap();
    for (path, colour) in [("train/a/1.png", 10), ("train/b/1.png", 20), ("val/a/1.png", 30), ("test/b/1.png", 40)] {
        paint(folder.path().join(path), 2, [colour; 3]);
    }
    let mut kept = Kept::default();
    read(folder.path(), &config(2, 1), 0, &mut kept).unwrap();
    let seen: Vec<_> = kept.rows.iter().map(|(split, pixels, class)| (*split, pixels[0], class[0])).collect();
    let (test, val, train) = (Some(Split::Test), Some(Split::Validation), Some(Split::Train));
    assert_eq!(seen, [(test, 40.0, 1.0), (val, 30.0, 0.0), (train, 10.0, 0.0), (train, 20.0, 1.0)]);
}

#[test]
fn a_limit_is_spread_over_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        for file in 0..4 {
            paint(folder.path().join(format!("{class}/{file}.png")), 2, [file; 3]);
        }
    }
    let mut kept = Kept::default();
    read(folder.path(), &config(2, 1), 2, &mut kept).unwrap();
    assert_eq!(kept.rows.iter().map(|row| row.2[0]).collect::<Vec<_>>(), [0.0, 1.0]);
}

#[test]
fn resizing_averages_neighbours() {
    let picture = GrayImage::from_fn(4, 4, |x, _| Luma([if x < 2 { 0 } else { 200 }]));
    let fitted = fit(&DynamicImage::ImageLuma8(picture), Shape { channels: 1, height: 1, width: 1 });
    assert_eq!(fitted, [100]);
}

#[test]
fn faults_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let fault = |config: &DataConfig| read(folder.path(), config, 0, &mut Kept::default()).unwrap_err().to_string();
    assert!(fault(&config(2, 1)).contains("has no folders, so no classes"));
    fs::create_dir(folder.path().join("a")).unwrap();
    assert!(fault(&config(2, 1)).contains("has no png or jpeg files"));
    fs::write(folder.path().join("a/broken.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    assert!(fault(&config(2, 1)).contains("a/broken.png"));
    fs::write(folder.path().join("a/c.webp"), b"x").unwrap();
    assert!(fault(&config(2, 1)).contains(".webp is not supported; convert it"));
    assert!(fault(&config(2, 4)).contains("`data.channels` is 4"));
    assert!(fault(&config(0, 1)).contains("`data.image_size` is [0, 0]"));
}
