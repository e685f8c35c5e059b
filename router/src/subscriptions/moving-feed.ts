/**
 * A feed that can be opened anew from its place, as another one: after a swap of the supergraph the same subscription may have
 * another plan. Events that were heard before it are rendered as they were planned; what the old feed says afterwards is not heard.
 */
import type { Feed, FeedListener } from './feeds.ts';

export interface MovingFeed {
  open(listener: FeedListener): Feed;
  /** False, and nothing happens, when no event told its position. Before `open` there is nothing to move. */
  move(): boolean;
}

/** `openFrom` opens what is to be heard now, behind a position or from what the operation says. */
export function createMovingFeed(
  openFrom: (listener: FeedListener, after: number | null) => Feed,
): MovingFeed {
  let listener: FeedListener | null = null;
  let current: Feed | null = null;
  let last: number | null = null;
  let isPaused = false;
  let generation = 0;

  function begin(tells: FeedListener, after: number | null): void {
    const own = ++generation;
    current = openFrom(
      {
        event(event) {
          if (own !== generation) return;
          last = event.position ?? last;
          tells.event(event);
        },
        ended(how) {
          if (own === generation) tells.ended(how);
        },
      },
      after,
    );
  }

  const feed: Feed = {
    pause() {
      isPaused = current?.pause() ?? false;
      return isPaused;
    },
    resume() {
      isPaused = false;
      if (current) current.resume();
      else if (listener) begin(listener, last);
    },
    leave() {
      generation++;
      current?.leave();
    },
  };

  return {
    open(tells) {
      listener = tells;
      begin(tells, null);
      return feed;
    },
    move() {
      if (!listener) return true;
      if (last === null) return false;
      feed.leave();
      current = null;
      if (!isPaused) begin(listener, last);
      return true;
    },
  };
}
