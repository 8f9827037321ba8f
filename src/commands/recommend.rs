//! `kiln predict` of a recommender: the items that every user of a file is most likely to choose next.

use std::path::Path;

use burn::tensor::{Int, Tensor};
use serde_json::json;

use super::{
    Console, Trained,
    predict::{Writer, layout},
};
use crate::{
    data::{Dataset, InputSchema, InteractionsConfig, Split, source},
    error::{Error, Result},
    metric::top,
    model::{Choices, Input},
    task::host,
    train::{INFERENCE, Ready, Setup},
};

/// Writes `most` lines for every user of `input`: the items by score, without those that the run's data say it chose.
///
/// Someone whom the run does not know gets what most users chose, with an empty score.
pub(super) fn recommend(
    trained: &Trained,
    ready: &Ready,
    input: &Path,
    output: Option<&Path>,
    most: usize,
    console: &Console,
) -> Result<()> {
    let InputSchema::Choices { users, items } = &ready.task.schema().input else {
        return Err(Error::failed("the run does not recommend"));
    };
    let asked = trained.plan.data.interactions.as_ref();
    let InteractionsConfig { user: column, .. } =
        asked.ok_or_else(|| Error::failed("the run's plan names no column of users"))?;
    let layout = layout(input, std::slice::from_ref(column), &[], &trained.plan.data)?;
    let names = source::table::read_names(input, &layout, column)?;
    let setup = Setup::new(trained.plan.clone(), &|text| console.say(text))?;
    if setup.dataset.schema().input != ready.task.schema().input {
        return Err(Error::input("the run's data are not what it was trained on: their users or items are others")
            .next("bring the old data back, or train anew"));
    }
    let popular = popularity(&setup.dataset, users.len(), items.len());
    let mut writer = Writer::new(output, console.is_json())?;
    let mut unknown = 0;
    for some in names.chunks(ready.task.most_rows()) {
        let ids: Vec<Option<u32>> =
            some.iter().map(|name| users.iter().position(|user| user == name).map(|id| id as u32)).collect();
        let known: Vec<i32> = ids.iter().flatten().map(|&id| id as i32).collect();
        let scores = scores(ready, &known, items.len())?;
        let mut scores = scores.chunks_exact(items.len().max(1));
        for (name, id) in some.iter().zip(ids) {
            unknown += usize::from(id.is_none());
            let own = id.and_then(|_| scores.next());
            let seen: Vec<u32> = id.iter().flat_map(|&id| chosen(&setup.dataset, id)).collect();
            for (item, rank) in top(own.unwrap_or(&popular), &seen, most).into_iter().zip(1..) {
                let score = own.and_then(|own| own.get(item as usize));
                writer.write(&vec![
                    (column.clone(), json!(name)),
                    ("rank".into(), json!(rank)),
                    ("item".into(), json!(items.get(item as usize))),
                    ("score".into(), score.map_or(json!(""), |score| json!(score))),
                ])?;
            }
        }
    }
    writer.finish()?;
    if unknown > 0 {
        console.say(&format!("{unknown} of {} users are not in the run's data: they get what most chose", names.len()));
    }
    if let Some(output) = output {
        console.say(&format!("recommendations for {} users are in {}", names.len(), output.display()));
    }
    Ok(())
}

/// Everything that the data say of a user.
fn chosen(dataset: &Dataset, user: u32) -> impl Iterator<Item = u32> {
    Split::ALL.into_iter().flat_map(move |split| dataset.chosen(split, user).iter().copied())
}

/// How often every item was chosen for training.
fn popularity(dataset: &Dataset, users: usize, items: usize) -> Vec<f32> {
    let mut counts = vec![0.0; items];
    for item in (0..users as u32).flat_map(|user| dataset.chosen(Split::Train, user)) {
        counts.iter_mut().skip(*item as usize).take(1).for_each(|count| *count += 1.0);
    }
    counts
}

/// The scores of all items for each of these users, row-major.
fn scores(ready: &Ready, users: &[i32], items: usize) -> Result<Vec<f32>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let device = &ready.opened.device;
    let items = Tensor::<1, Int>::arange(0..items as i64, device).unsqueeze::<2>(); // [1, m]
    let users = Tensor::<1, Int>::from_data(users, device);
    host(ready.model.forward(Input::Choices(Choices { users, items }), INFERENCE))
}
