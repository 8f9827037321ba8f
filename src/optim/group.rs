//! Parameter groups: which update rule a parameter follows, and whether it decays.

use super::OptimKind;
use crate::nn::ModulePath;

/// Segments of a path that name a learned table or token of raw parameters.
const TABLES: [&str; 4] = ["tokens", "positions", "token", "position"];
/// Segments of a path that name a model's last layer.
const HEADS: [&str; 4] = ["head", "lm_head", "classifier", "output"];

/// How one parameter is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Adamw,
    Sgd,
    Lion,
    Muon,
}

impl Rule {
    /// Names of the tensors that the rule keeps for each parameter; they differ between rules, so that one's state
    /// is never taken for another's.
    pub(super) fn slots(self, momentum: f64) -> &'static [&'static str] {
        match self {
            Self::Adamw => &["exp_avg", "exp_avg_sq"],
            Self::Sgd if momentum == 0.0 => &[],
            Self::Sgd => &["momentum_buffer"],
            Self::Lion => &["lion_momentum"],
            Self::Muon => &["muon_momentum"],
        }
    }
}

/// A parameter's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rule: Rule,
    /// Weight decay applies.
    pub(super) decays: bool,
}

impl Group {
    /// The group of the parameter of `rank` dimensions at `path`.
    ///
    /// Matrices and filters decay; norms, biases and other vectors don't (rank 1), nor do embeddings: parameters whose
    /// struct is named `..Embedding..`, or (unless the struct is a `Linear` or a `Conv..`, as in a patch projection)
    /// whose path has a segment that contains `embed` or is or ends in `token(s)` or `position(s)`. With Muon, what
    /// decays also follows Muon, unless a segment names the last layer (`head`, `lm_head`, `classifier`, `output`).
    pub(super) fn of(kind: OptimKind, path: &ModulePath, rank: usize) -> Self {
        let decays = rank >= 2 && !is_embedding(path);
        let rule = match kind {
            OptimKind::Adamw => Rule::Adamw,
            OptimKind::Sgd => Rule::Sgd,
            OptimKind::Lion => Rule::Lion,
            OptimKind::Muon if decays && !is_head(path) => Rule::Muon,
            OptimKind::Muon => Rule::Adamw,
        };
        Self { rule, decays }
    }
}

fn is_embedding(path: &ModulePath) -> bool {
    let owner = path.owner();
    if owner.starts_with("Linear") || owner.starts_with("Conv") {
        return false;
    }
    let table = |s: &String| s.contains("embed") || s.rsplit('_').next().is_some_and(|last| TABLES.contains(&last));
    owner.contains("Embedding") || path.segments().iter().any(table)
}

fn is_head(path: &ModulePath) -> bool {
    path.segments().iter().any(|s| HEADS.contains(&s.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group of a parameter reached through `(name, container)` pairs.
    fn group(steps: &[(&str, &str)], rank: usize) -> Group {
        let mut path = ModulePath::default();
        for (name, container) in steps {
            path.enter(name, container);
        }
        Group::of(OptimKind::Muon, &path, rank)
    }

    #[test]
    fn only_hidden_matrices_decay_and_follow_muon() {
        let hidden = Group { rule: Rule::Muon, decays: true };
        let last = Group { rule: Rule::Adamw, decays: true };
        let other = Group { rule: Rule::Adamw, decays: false };
        let block = [("Gpt", "Enum:Model"), ("blocks", "Struct:Gpt"), ("0", "Vec"), ("qkv", "Struct:Block")];
        let in_block = |name| [block.as_slice(), &[(name, "Struct:Linear")]].concat();
        assert_eq!(group(&in_block("weight"), 2), hidden);
        assert_eq!(group(&in_block("bias"), 1), other);
        assert_eq!(group(&[("head", "Struct:Gpt"), ("weight", "Struct:Linear")], 2), last);
        assert_eq!(group(&[("wte", "Struct:Gpt"), ("weight", "Struct:Embedding")], 2), other);
        assert_eq!(group(&[("tokens", "Struct:Gpt")], 2), other);
        assert_eq!(group(&[("class_token", "Struct:Vit")], 3), other);
        assert_eq!(group(&[("position_embedding", "Struct:Vit")], 3), other);
        assert_eq!(group(&[("patch_embed", "Struct:Vit"), ("weight", "Struct:Conv2d")], 4), hidden);
        assert_eq!(group(&[("norm", "Struct:Vit"), ("gamma", "Struct:RmsNorm")], 1), other);
    }
}
