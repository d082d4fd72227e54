/** What was said, by `seq`, which runs 1, 2, 3 … without a gap. Only the part without a gap is shown. */

export class Record {
  #bySeq = new Map();
  last = 0;

  /** False when it is known already. */
  add(message) {
    if (this.#bySeq.has(message.seq)) return false;
    this.#bySeq.set(message.seq, message);
    while (this.#bySeq.has(this.last + 1)) this.last += 1;
    return true;
  }

  get hasGap() {
    return this.#bySeq.size > this.last;
  }

  get messages() {
    return Array.from({ length: this.last }, (_, index) => this.#bySeq.get(index + 1));
  }

  /** Whether an agent ever had the conversation: the first thing not said by the customer tells of it. */
  get hadAgent() {
    return this.messages.some((message) => message.sender !== "customer");
  }

  /** The last thing the other side said: what a read mark refers to. */
  get lastFromAgent() {
    return this.messages.findLast((message) => message.sender === "agent")?.seq ?? 0;
  }
}
