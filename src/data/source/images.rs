//! A folder of pictures with one folder per class.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageReader, Limits};

use crate::data::{DataConfig, Features, InputSchema, RecordSink, Records, Schema, Split, Target, TargetSchema};
use crate::error::{Error, IoContext, Result};

/// Pixels along a side of a picture on disk.
const MOST_PIXELS: u32 = 16_384;
/// Bytes that decoding one picture may take.
const MOST_BYTES: u64 = 512 << 20;
const MOST_CLASSES: usize = 10_000;

/// Pixels a picture is brought to, channel first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    channels: usize,
    height: usize,
    width: usize,
}

/// One picture that was found.
#[derive(Debug)]
struct Found {
    split: Option<Split>,
    class: String,
    path: PathBuf,
}

/// Pushes the png and jpeg files of `folder/CLASS/` or of `folder/{train,val,test}/CLASS/`, resized.
///
/// Features are `[channels, height, width]` bytes; classes are the folders' names, sorted. Files go in the order
/// test, validation, train, then class, then name; a `limit` other than 0 takes files evenly spread over that order.
///
/// # Errors
/// No class folders, a class without pictures, an unreadable picture: each by name.
pub fn read(folder: &Path, config: &DataConfig, limit: u64, sink: &mut dyn RecordSink) -> Result<Records> {
    let [height, width] = config.image_size;
    let shape = Shape { channels: config.channels, height, width };
    check(shape)?;
    let found = find(folder)?;
    let names: Vec<String> =
        found.iter().map(|found| found.class.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    if names.len() > MOST_CLASSES {
        return Err(Error::input(format!(
            "{} has {} classes, more than {MOST_CLASSES}",
            folder.display(),
            names.len()
        ))
        .next("give one folder per class, not one per picture"));
    }
    let taken = if limit == 0 { found.len() } else { found.len().min(limit as usize) };
    for row in 0..taken {
        let Some(found) = found.get(row * found.len() / taken) else { break };
        let class = names.binary_search(&found.class).unwrap_or_default();
        sink.push(found.split, Features::U8(&decode(&found.path, shape)?), Target::Class(class as u32))?;
    }
    let input = InputSchema::Image { channels: shape.channels, height, width };
    Ok(Records { input, target: TargetSchema::Classes { names }, table: None, tokenizer: None })
}

/// Reads one picture as the schema wants it: `[channels, height, width]` bytes.
///
/// # Errors
/// The schema is not of pictures, or the file is not a readable png or jpeg.
pub fn read_one(path: &Path, schema: &Schema) -> Result<Vec<u8>> {
    match schema.input {
        InputSchema::Image { channels, height, width } => decode(path, Shape { channels, height, width }),
        _ => Err(Error::input(format!("{} is a picture, but the model does not take pictures", path.display()))
            .next("give a file of the kind that the model was trained on")),
    }
}

fn check(shape: Shape) -> Result<()> {
    let side = 1..=MOST_PIXELS as usize;
    if !side.contains(&shape.height) || !side.contains(&shape.width) {
        return Err(Error::input(format!("`data.image_size` is [{}, {}]", shape.height, shape.width))
            .next(format!("give a height and width from 1 to {MOST_PIXELS}")));
    }
    if !matches!(shape.channels, 1 | 3) {
        return Err(Error::input(format!("`data.channels` is {}", shape.channels)).next("give 1 (grey) or 3 (RGB)"));
    }
    Ok(())
}

/// Decodes within bounds and resizes bilinearly.
fn decode(path: &Path, shape: Shape) -> Result<Vec<u8>> {
    let file = File::open(path).io("open", path)?;
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().io("read", path)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_PIXELS), Some(MOST_PIXELS));
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| {
        Error::input(format!("cannot read the picture {}: {e}", path.display()))
            .next("replace or remove it; png and jpeg are read")
    })?;
    Ok(fit(&picture, shape))
}

fn fit(picture: &DynamicImage, shape: Shape) -> Vec<u8> {
    let (height, width) = (shape.height as u32, shape.width as u32);
    let same = (picture.height(), picture.width()) == (height, width);
    if shape.channels == 1 {
        let grey = picture.to_luma8();
        return if same { grey } else { imageops::resize(&grey, width, height, FilterType::Triangle) }.into_raw();
    }
    let rgb = picture.to_rgb8();
    let rgb = if same { rgb } else { imageops::resize(&rgb, width, height, FilterType::Triangle) };
    // Stored pixel by pixel; the schema is channel first.
    (0..3).flat_map(|channel| rgb.as_raw().iter().skip(channel).step_by(3).copied()).collect()
}

/// All pictures in the order they are pushed.
fn find(folder: &Path) -> Result<Vec<Found>> {
    let top = folders(folder)?;
    let split = |path: &PathBuf| match name(path).as_str() {
        "train" => Some(Split::Train),
        "val" | "validation" | "valid" => Some(Split::Validation),
        "test" => Some(Split::Test),
        _ => None,
    };
    let has = |wanted: Split| top.iter().any(|path| split(path) == Some(wanted));
    let mut found = Vec::new();
    if top.iter().all(|path| split(path).is_some()) && has(Split::Train) {
        for wanted in [Split::Test, Split::Validation, Split::Train] {
            // Without a folder for validation the holdout takes it from the training pictures.
            let pushed = (wanted != Split::Train || has(Split::Validation)).then_some(wanted);
            for path in top.iter().filter(|path| split(path) == Some(wanted)) {
                classes(path, folders(path)?, pushed, &mut found)?;
            }
        }
    } else {
        classes(folder, top, None, &mut found)?;
    }
    Ok(found)
}

/// Adds the pictures of every class folder.
fn classes(folder: &Path, classes: Vec<PathBuf>, split: Option<Split>, found: &mut Vec<Found>) -> Result<()> {
    if classes.is_empty() {
        return Err(Error::input(format!("{} has no folders, so no classes", folder.display()))
            .next("put the pictures of each class into a folder of its own"));
    }
    for class in classes {
        let before = found.len();
        for path in entries(&class)? {
            if picture(&path)? {
                found.push(Found { split, class: name(&class), path });
            }
        }
        if found.len() == before {
            return Err(Error::input(format!("the class folder {} has no png or jpeg files", class.display()))
                .next("add pictures or remove the folder"));
        }
    }
    Ok(())
}

/// Whether the file is to be read, by its ending; pictures in other formats are an error rather than left out.
fn picture(path: &Path) -> Result<bool> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "png" | "jpg" | "jpeg" => Ok(path.is_file()),
        "webp" | "gif" | "bmp" | "tif" | "tiff" | "avif" | "heic" => {
            Err(Error::input(format!("cannot read the picture {}: .{ending} is not supported", path.display()))
                .next("convert it to png or jpeg"))
        }
        _ => Ok(false),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder, without hidden files, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).io("read", folder)? {
        paths.push(entry.io("read", folder)?.path());
    }
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
