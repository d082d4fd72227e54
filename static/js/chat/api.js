/** The REST doors of the chat. Every failure becomes an ApiError; status 0 means the server was not reached. */

export class ApiError extends Error {
  constructor(status, { code = "unreachable", detail = "", fields = {} } = {}, retryAfter = 0) {
    super(detail || code);
    Object.assign(this, { status, code, detail, fields: fields || {}, retryAfter });
  }

  /** Worth another try later: not reached, overloaded or too fast. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const REQUEST_SECONDS = 15;

export class ChatApi {
  constructor({ base, inbox }) {
    Object.assign(this, { base, inbox, token: null });
  }

  availability() {
    return this.#request("GET", `${this.inbox}/availability/`);
  }

  start(form) {
    return this.#request("POST", `${this.inbox}/start/`, form);
  }

  conversation() {
    return this.#request("GET", "conversation/");
  }

  wait() {
    return this.#request("GET", "wait/");
  }

  callback(wish) {
    return this.#request("POST", "callback/", wish);
  }

  cancelCallback() {
    return this.#request("DELETE", "callback/");
  }

  messages(afterSeq) {
    return this.#request("GET", `messages/?after_seq=${afterSeq}`);
  }

  send({ client_msg_id, body, attachments }) {
    return this.#request("POST", "messages/", { client_msg_id, body, attachments });
  }

  read(seq) {
    return this.#request("POST", "read/", { seq });
  }

  end() {
    return this.#request("POST", "end/", {});
  }

  rate(rating, comment) {
    return this.#request("POST", "rating/", comment ? { rating, comment } : { rating });
  }

  /** The file as a Blob; an <img> cannot send the token, so it gets an address made from this. */
  async file(id) {
    const response = await this.#fetch("GET", `attachments/${id}/`);
    return response.blob();
  }

  /** XMLHttpRequest because fetch does not report the progress of an upload. */
  upload(file, { onProgress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("file", file, file.name);
      request.open("POST", `${this.base}attachments/`);
      for (const [name, value] of Object.entries(this.#headers())) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onload = () => {
        const body = parse(request.responseText);
        if (request.status === 201) resolve(body);
        else reject(new ApiError(request.status, body, Number(request.getResponseHeader("Retry-After"))));
      };
      request.onerror = request.onabort = () => reject(new ApiError(0));
      signal?.addEventListener("abort", () => request.abort());
      request.send(form);
    });
  }

  async #request(method, path, body) {
    const response = await this.#fetch(method, path, body);
    return response.status === 204 ? null : response.json();
  }

  async #fetch(method, path, body) {
    const headers = this.#headers();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(this.base + path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(REQUEST_SECONDS * 1000),
      });
    } catch {
      throw new ApiError(0);
    }
    if (response.ok) return response;
    throw new ApiError(response.status, parse(await response.text()), Number(response.headers.get("Retry-After")));
  }

  #headers() {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Visitor ${this.token}`;
    return headers;
  }
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    // A proxy in between answers in HTML.
    return {};
  }
}
