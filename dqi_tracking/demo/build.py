"""Build the demo's ``curves.parquet`` and ``runs.csv`` from a folder of curves.

The folder holds ``curves.parquet`` (run, step, loss, grad_norm, lr, eval_loss) and ``runs.csv``
(one row a run); ``SOURCES.md`` says where they come from. The same folder and the same pyarrow
give the same bytes.
"""

import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: Name of a run in the demo -> its name in the folder.
RUNS: dict[str, str] = {
    "wmt_jax-baseline-trial_5": "ap-v05-e-baseline-study_0-wmt_jax-trial_5",
    "wmt_jax-caspr_adaptive-trial_3": "ap-v05-e-caspr_adaptive-study_0-wmt_jax-trial_3",
    "wmt_jax-nadamp-trial_1": "ap-v05-e-nadamp-study_0-wmt_jax-trial_1",
    "wmt_jax-nadamp-trial_4": "ap-v05-e-nadamp-study_0-wmt_jax-trial_4",
    "wmt_jax-nadamw_sequential": "ap-v05-s-nadamw_sequential-study_0-wmt_jax-trial_1",
    "wmt_jax-amos-trial_3": "ap-v05-e-amos-study_0-wmt_jax-trial_3",
    "wmt_pytorch-prodigy-trial_4": "ap-v05-e-schedule_free_prodigy-study_0-wmt_pytorch-trial_4",
    "ogbg_jax-baseline-trial_5": "ap-v05-e-baseline-study_0-ogbg_jax-trial_5",
    "ogbg_jax-nadamp-trial_4": "ap-v05-e-nadamp-study_0-ogbg_jax-trial_4",
    "ogbg_jax-nadamw_sequential": "ap-v05-s-nadamw_sequential-study_0-ogbg_jax-trial_1",
    "fastmri_jax-baseline-trial_1": "ap-v05-e-baseline-study_0-fastmri_jax-trial_1",
    "fastmri_jax-nadamp-trial_2": "ap-v05-e-nadamp-study_0-fastmri_jax-trial_2",
    "fastmri_jax-sinv6": "ap-v05-s-sinv6-study_0-fastmri_jax-trial_1",
    "criteo1tb_jax-nadamp-trial_5": "ap-v05-e-nadamp-study_0-criteo1tb_jax-trial_5",
    "criteo1tb_jax-nadamw_sequential": "ap-v05-s-nadamw_sequential-study_0-criteo1tb_jax-trial_1",
    "criteo1tb_pytorch-shampoo-trial_3": "ap-v06-e-shampoo-study_1-criteo1tb_pytorch-trial_3",
    "nanogpt-value_embed": "mng-tr-2024_12_04_ValueEmbed-83ed4e",
    "nanogpt-window_warmup": "mng-tr-2024_11_24_WindowWarmup-c28d87",
    "nanogpt-adam_sync_hook": "mng-val-2025_10_31_AdamSyncGradientHook-b3369d",
    "golf-int5_mlp-seed_1337": "pg-2026_03_20_10L_Int5MLP_MuonWD04_SWA50_train_seed1337_log-37e27",
    "golf-legendre_gpt": "pg-non_record_16mb_2026_03_31_LegendreGPT_train_log-5190a",
    "golf-gdn_hybrid": "pg-non_record_16mb_2026_04_04_GDN_Hybrid_LongContext_logs_exper-d61b7",
    "mpl_25m-wsd": "mpl-csv_25-wsd_20000_24000",
    "mpl_25m-wsdcon_18": "mpl-csv_25-wsdcon_18",
}

#: What a run shows, where it is not an ordinary one.
WHY: dict[str, str] = {
    "wmt_jax-nadamp-trial_4": "poor: final accuracy 0.26 where the others reach 0.67 to 0.70",
    "wmt_jax-amos-trial_3": "first_100_steps: losses of steps 0 to 99 only, evaluated to the end",
    "wmt_pytorch-prodigy-trial_4": "no_grad_norm: gradient norm never logged",
    "criteo1tb_pytorch-shampoo-trial_3": "nan: the last 33 of 99 losses are NaN",
    "nanogpt-adam_sync_hook": "no_loss: 10 validation losses and no training loss",
    "golf-legendre_gpt": "flat: range 0.29 of its maximum over 1500 losses, median of the last"
    " tenth 1.4 % below that of the first; resumed at step 30000",
    "golf-gdn_hybrid": "short: 14 losses, steps 1 to 10 and then every 200th",
    "mpl_25m-wsd": "no_eval: validation loss never logged",
    "mpl_25m-wsdcon_18": "no_eval: validation loss never logged; range 0.17 of its maximum",
}

#: Source -> column of the folder's curves -> name under which that source logs it.
KEYS: dict[str, dict[str, str]] = {
    "algoperf": {"loss": "loss", "grad_norm": "grad_norm", "eval_loss": "validation/loss"},
    "modded-nanogpt": {"loss": "train_loss", "eval_loss": "val_loss"},
    "parameter-golf": {"loss": "train_loss", "eval_loss": "val_loss"},
    "multipowerlaw": {"loss": "loss"},
}

SCHEMA = pa.schema(
    [("run", pa.string()), ("key", pa.string()), ("step", pa.int64()), ("value", pa.float32())]
)


def melt_run(rows: Any, name: str, keys: dict[str, str]) -> pd.DataFrame:
    """Turn the rows of one run into one row a logged value.

    Parameters
    ----------
    rows : pandas.DataFrame
        Null where a value was not logged; a row of nulls alone is a logged NaN loss.
    name : str
        Name of the run in the demo.
    keys : dict
        Column -> metric name; columns not named here are left out.

    Returns
    -------
    pandas.DataFrame
        Columns run, key, step, value.
    """
    logged = rows.notna()
    logged["loss"] |= rows[["loss", "grad_norm", "lr", "eval_loss"]].isna().all(axis=1)
    parts = [
        pd.DataFrame({"key": key, "step": rows["step"], "value": rows[column]})[logged[column]]
        for column, key in keys.items()
    ]
    return pd.concat(parts).assign(run=name)[SCHEMA.names]


def describe_run(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Give the line of the demo's ``runs.csv`` for a line of the folder's."""
    record = re.search(r"/\d{4}-\d\d-\d\d_([^/]+)/", row["path"])
    variant = record[1] if record else Path(row["path"]).stem
    return {
        "run": name,
        "workload": "mpl_25m" if row["source"] == "multipowerlaw" else row["family"],
        "submission": row["submission"] if row["source"] == "algoperf" else variant,
        "source": row["source"],
        "repository": row["repo"],
        "path": row["path"],
        "licence": row["licence"],
        "why": WHY.get(name, "ordinary"),
        **{key: row[key] for key in ("final_eval_loss", "final_metric_name", "final_metric")},
    }


def build(folder: Path, out: Path) -> None:
    """Read the curves in ``folder`` and write the demo's two files into ``out``."""
    curves: Any = pd.read_parquet(folder / "curves.parquet")
    rows: Any = pd.read_csv(folder / "runs.csv").set_index("run").to_dict("index")
    parts: list[pd.DataFrame] = []
    for name, source in RUNS.items():
        part = melt_run(curves[curves["run"] == source], name, KEYS[rows[source]["source"]])
        if part["value"].isna().sum() != rows[source]["nan_loss_rows"]:
            raise ValueError(f"{source}: the curve's NaN losses are not those of runs.csv")
        parts.append(part)
    points: Any = pd.concat(parts).sort_values(["run", "key", "step"], kind="stable")
    dictionary: Any = ["run", "key"]  # annotated by pyarrow as a bool alone
    pq.write_table(
        pa.table({column: points[column].to_numpy() for column in SCHEMA.names}, schema=SCHEMA),
        out / "curves.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=dictionary,
        column_encoding={"step": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"},
    )
    lines = [describe_run(rows[source], name) for name, source in RUNS.items()]
    pd.DataFrame(lines).to_csv(out / "runs.csv", index=False, lineterminator="\n")
    sys.stdout.write(f"{len(lines)} runs, {len(points)} points\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(__file__).parent)
