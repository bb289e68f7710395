// The jobs that the list shows, as the server has them: pages that follow each other, and one request a tick for news.
import { get, isFinished } from "../shared/api.js";
import { THUMBNAILS } from "./row.js";

/** Jobs that "more" adds. */
export const PAGE = 30;
/** The most that one request may ask for. */
const MOST = 200;

export class JobList {
  constructor() {
    this.jobs = [];
    this.cursor = null;
    this.filter = {};
  }

  /** Read the newest `count` jobs that pass a filter {q, status, source}. */
  async load(filter, count) {
    this.filter = filter;
    const jobs = [];
    let cursor = null;
    do {
      const page = await this.#read(Math.min(count - jobs.length, MOST), cursor);
      if (this.filter !== filter) return; // Another filter was chosen meanwhile.
      jobs.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor && jobs.length < count);
    this.jobs = jobs;
    this.cursor = cursor;
  }

  async more() {
    const { filter } = this;
    const page = await this.#read(PAGE, this.cursor);
    if (this.filter !== filter) return;
    this.jobs = [...this.jobs, ...page.data];
    this.cursor = page.next_cursor;
  }

  get hasUnfinished() {
    return this.jobs.some((job) => !isFinished(job));
  }

  /**
   * Read the newest jobs again, down to the last one that is not finished, with one request. New jobs come first, and jobs
   * that are gone are left out. Resolves to whether anything has changed.
   */
  async refresh() {
    const { filter } = this;
    const last = this.jobs.findLastIndex((job) => !isFinished(job));
    const page = await this.#read(Math.min(Math.max(PAGE, last + 1), MOST), null);
    if (this.filter !== filter) return true;
    const oldest = page.data.at(-1)?.id;
    const older = page.next_cursor ? this.jobs.filter((job) => job.id < oldest) : [];
    const jobs = [...page.data, ...older];
    if (!older.length) this.cursor = page.next_cursor;
    const isChanged = JSON.stringify(jobs) !== JSON.stringify(this.jobs);
    this.jobs = jobs;
    return isChanged;
  }

  replace(changed) {
    this.jobs = this.jobs.map((job) => (job.id === changed.id ? { ...job, ...changed } : job));
  }

  remove(id) {
    this.jobs = this.jobs.filter((job) => job.id !== id);
  }

  async #read(limit, cursor) {
    const query = new URLSearchParams({ limit, thumbnails: THUMBNAILS });
    for (const [name, value] of Object.entries({ ...this.filter, cursor })) if (value) query.set(name, value);
    return (await get(`/v1/jobs?${query}`)).body;
  }
}
