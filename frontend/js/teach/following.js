// A lesson from its creation to its end.
import { get } from "../shared/api.js";

/** Milliseconds between two looks at a lesson. */
const LOOK = 1000;

/** Look at a lesson until it ends. `onLook(lesson)` is called after each look. Resolves to the finished lesson. */
export async function follow(lesson, onLook) {
  let now = lesson;
  while (!["completed", "failed"].includes(now.status)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    now = (await get(`/v1/lessons/${encodeURIComponent(lesson.id)}`)).body;
    onLook(now);
  }
  return now;
}
