// What the person has agreed to pay: the prices that were on the screen, not newer ones.

/**
 * The lines of a review as they were when it was opened, or last accepted. What this page
 * itself changes is agreed; what changes from elsewhere is a difference until accepted.
 */
export class Agreement {
  #lines = null; // by item: { item, name, quantity, price }

  get open() {
    return this.#lines !== null;
  }

  /** Agree on `lines` as they are shown, each at the price last accepted for it. */
  begin(lines) {
    this.accept(lines.map((line) => ({ ...line, price: line.was ?? line.price })));
  }

  accept(lines) {
    this.#lines = new Map(lines.map(({ item, name, quantity, price }) => [item, { item, name, quantity, price }]));
  }

  end() {
    this.#lines = null;
  }

  /** Take over the quantities that this page is just changing. */
  follow(lines) {
    if (!this.open) return;
    for (const { item, name, quantity, price, busy } of lines) {
      if (!busy) continue;
      if (quantity === 0) this.#lines.delete(item);
      else this.#lines.set(item, { item, name, quantity, price: this.#lines.get(item)?.price ?? price });
    }
  }

  /** What differs in `lines`: each `{ item, name, before, now }`, null where not there. */
  differences(lines) {
    const left = new Map(this.#lines);
    const found = [];
    for (const line of lines) {
      const before = left.get(line.item) ?? null;
      left.delete(line.item);
      if (line.quantity === 0) continue;
      if (before?.price === line.price && before.quantity === line.quantity) continue;
      found.push({ item: line.item, name: line.name, before, now: line });
    }
    for (const before of left.values()) found.push({ item: before.item, name: before.name, before, now: null });
    return found;
  }

  get lines() {
    return [...this.#lines.values()];
  }

  get total() {
    return totalOf(this.lines);
  }
}

/** What lines cost, as far as their prices are known. */
export function totalOf(lines) {
  return lines.reduce((sum, line) => sum + (line.price ?? 0) * line.quantity, 0);
}
