export interface AccessToken {
  viewer: import('@taskflow/kit/identity').Viewer;
  /** Membership epoch the token was issued at. */
  epoch: number;
  /** Epoch milliseconds. */
  expiresAt: number;
}
