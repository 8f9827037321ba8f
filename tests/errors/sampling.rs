//! Verbs that read a trained run: generate, predict, eval, inspect.

use crate::{
    common::{Bench, rows},
    refuse,
};

#[test]
fn a_prompt_or_a_number_that_no_sampling_takes() {
    let bench = Bench::tiny();
    bench.ok(&["train", "tiny.toml", "--quiet"]);
    refuse(
        &bench,
        &[
            (&["generate", "tiny", "--prompt", "Ω"], 2, &["'Ω' (U+03A9)", "data.tokenizer"]),
            (&["generate", "tiny", "--prompt", ""], 2, &["--prompt is empty", "at least one character"]),
            (&["generate", "tiny", "--temperature", "-1"], 2, &["--temperature -1", "give 0"]),
            (&["generate", "tiny", "--temperature", "NaN"], 2, &["--temperature NaN"]),
            (&["generate", "tiny", "--top-p", "0"], 2, &["--top-p 0", "(0, 1]"]),
            (&["generate", "tiny", "--top-p", "1.5"], 2, &["--top-p 1.5", "(0, 1]"]),
            (&["predict", "tiny", "--input", "text.txt"], 2, &["run `tiny` is a language model", "kiln generate"]),
            (&["eval", "tiny", "--split", "test"], 2, &["no test split", "`data.holdout.test`"]),
            (&["eval", "tiny", "--split", "tset"], 2, &["no split `tset`", "train, validation or test"]),
            (&["eval", "tiny", "--checkpoint", "77"], 2, &["no checkpoint of step 77", "kiln runs show tiny"]),
            (
                &["eval", "tiny", "--checkpoint", "newest"],
                2,
                &["--checkpoint newest", "`best`, `latest`", "kiln runs show tiny"],
            ),
            (
                &["eval", "tiny", "--set", "model.width=32"],
                2,
                &["step-00000006", "token_embedding.weight", "[25, 32] is needed"],
            ),
            (&["inspect", "nothing"], 2, &["nothing is neither a checkpoint nor a run", "step-00000500"]),
        ],
    );
}

#[test]
fn a_file_to_predict_for_that_does_not_fit() {
    let bench = Bench::table();
    bench.ok(&["train", "table.toml", "--quiet"]);
    bench.write("no-b.csv", "a,kind\n0.1,up\n");
    bench.write("letters.csv", &rows().replacen("0.37,", "x,", 1));
    bench.write("lines.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1,\n");
    refuse(
        &bench,
        &[
            (&["generate", "table"], 2, &["run `table` is no language model", "kiln predict"]),
            (&["predict", "table", "--input", "none.csv"], 2, &["none.csv", "check the path"]),
            (&["predict", "table", "--input", "no-b.csv"], 2, &["no-b.csv has no column `b`", "a, kind"]),
            (&["predict", "table", "--input", "letters.csv"], 2, &["letters.csv, line 3", "column `a`", "\"x\""]),
            (&["predict", "table", "--input", "lines.jsonl"], 2, &["lines.jsonl, line 2"]),
            (
                &["predict", "table", "--input", "rows.csv", "--output", "out.xls"],
                2,
                &["--output ends in .xls", ".jsonl"],
            ),
            (
                &["predict", "table", "--input", "rows.csv", "--output", "no/out.csv"],
                2,
                &["no/out.csv", "check the path"],
            ),
        ],
    );
}
