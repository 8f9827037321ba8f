//! Popularity and item-based nearest neighbours: what a recommender has to beat.

use serde::{Deserialize, Serialize};

use crate::{Fault, Form, Kind, Model};

/// Neighbours of an item that are kept.
const NEIGHBOURS: usize = 100;

/// What every user chose: sorted items below `items`, a list a user.
#[derive(Debug, Clone, Copy)]
pub struct Histories<'a> {
    /// The lists.
    pub users: &'a [&'a [u32]],
    /// Number of items.
    pub items: usize,
}

/// How often every item was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Popularity {
    counts: Vec<f32>,
}

/// For every item the most similar ones, by the cosine of who chose them (Sarwar et al. 2001, on choices alone).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ItemKnn {
    neighbours: Vec<Vec<(u32, f32)>>,
}

/// Fits [`Kind::Popularity`] or [`Kind::ItemKnn`].
///
/// # Errors
/// No items, an item that is none of them, or another kind.
pub fn fit_items(kind: Kind, histories: Histories<'_>) -> Result<Model, Fault> {
    let items = histories.items;
    if items == 0 || histories.users.iter().any(|own| own.iter().any(|&item| item as usize >= items)) {
        return Err(Fault(format!("an item is none of the {items}")));
    }
    let mut counts = vec![0.0f32; items];
    for &item in histories.users.iter().flat_map(|own| own.iter()) {
        if let Some(count) = counts.get_mut(item as usize) {
            *count += 1.0;
        }
    }
    let form = match kind {
        Kind::Popularity => Form::Popularity(Popularity { counts }),
        Kind::ItemKnn => Form::ItemKnn(neighbours(histories, &counts)),
        other => return Err(Fault(format!("{} does not recommend", other.name()))),
    };
    let model = Model { columns: items, outputs: items, form };
    model.check()?;
    Ok(model)
}

fn neighbours(histories: Histories<'_>, counts: &[f32]) -> ItemKnn {
    let mut by_item: Vec<Vec<usize>> = vec![Vec::new(); histories.items];
    for (user, own) in histories.users.iter().enumerate() {
        for &item in own.iter() {
            by_item.get_mut(item as usize).into_iter().for_each(|users| users.push(user));
        }
    }
    let near = |(item, users): (usize, &Vec<usize>)| {
        let mut together = vec![0.0f32; histories.items];
        for other in users.iter().filter_map(|&user| histories.users.get(user)).flat_map(|own| own.iter()) {
            together.get_mut(*other as usize).into_iter().for_each(|n| *n += 1.0);
        }
        let own = counts.get(item).copied().unwrap_or(0.0);
        let cosine = |(other, (n, count)): (usize, (&f32, &f32))| (other as u32, n / (own * count).sqrt());
        let others = together.iter().zip(counts).enumerate().filter(|(other, (n, _))| *other != item && **n > 0.0);
        let mut similar: Vec<(u32, f32)> = others.map(cosine).collect();
        similar.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        similar.truncate(NEIGHBOURS);
        similar
    };
    ItemKnn { neighbours: by_item.iter().enumerate().map(near).collect() }
}

impl Model {
    /// A score of every item for someone who chose those of `history`; `None` of a model that does not recommend.
    pub fn recommend(&self, history: &[u32]) -> Option<Vec<f32>> {
        match &self.form {
            Form::Popularity(popularity) => Some(popularity.counts.clone()),
            Form::ItemKnn(knn) => {
                let chosen: std::collections::HashSet<u32> = history.iter().copied().collect();
                let score = |near: &Vec<(u32, f32)>| -> f32 {
                    near.iter().filter(|(item, _)| chosen.contains(item)).map(|(_, similar)| similar).sum()
                };
                Some(knn.neighbours.iter().map(score).collect())
            }
            _ => None,
        }
    }
}

impl Popularity {
    pub(crate) fn check(&self, items: usize) -> Result<(), Fault> {
        let sound = self.counts.len() == items && self.counts.iter().all(|n| n.is_finite());
        if sound { Ok(()) } else { Err(Fault("the counts do not fit the items".into())) }
    }
}

impl ItemKnn {
    pub(crate) fn check(&self, items: usize) -> Result<(), Fault> {
        let inside = |(item, similar): &(u32, f32)| (*item as usize) < items && similar.is_finite();
        let sound = self.neighbours.len() == items && self.neighbours.iter().flatten().all(inside);
        if sound { Ok(()) } else { Err(Fault("the neighbours do not fit the items".into())) }
    }
}
