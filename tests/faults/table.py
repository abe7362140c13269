"""The table: what was broken, how often, and what became of the events."""

HEAD = ("fault", "injections", "acknowledged", "lost", "twice", "torn")


def numbers(bench):
    return bench.injections, bench.acknowledged, bench.lost, bench.twice, bench.torn


def line(bench):
    """A row as it ends, for who is watching."""
    if bench.skipped:
        return f"skip  {bench.row.name}: {bench.skipped}"
    verdict = "FAIL" if bench.failed else "ok  "
    counted = ", ".join(f"{number} {name}" for name, number in zip(HEAD[1:], numbers(bench)))
    text = f"{verdict}  {bench.row.name}: {counted}; {bench.seconds:.0f} s"
    if bench.row.must_lose:
        text += " (a control: it must lose some)"
    details = [*bench.notes, *(bench.problems if bench.failed else ())]
    if bench.failed:
        details.append(f"again with: --seed {bench.seed.rpartition('-' + bench.row.name)[0]} {bench.row.name}")
    return "\n".join([text, *("      " + part for detail in details for part in detail.splitlines())])


def markdown(benches):
    rows = [HEAD]
    for bench in benches:
        if bench.skipped:
            rows.append((bench.row.fault, "skipped", bench.skipped, "", "", ""))
        else:
            rows.append((bench.row.fault, *numbers(bench)))
    counted = [bench for bench in benches if not bench.skipped and not bench.row.must_lose]
    sums = [sum(column) for column in zip(*map(numbers, counted))]
    rows.append(("**all but the controls**", *(sums or [0] * 5)))
    texts = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in texts]
    lines.insert(1, "|---|" + "--:|" * 5)
    return "\n".join(lines)


def summary(benches):
    failed = sum(bench.failed for bench in benches)
    skipped = sum(bool(bench.skipped) for bench in benches)
    text = f"{len(benches) - failed - skipped} passed, {failed} failed"
    return text + (f", {skipped} skipped" if skipped else "")
