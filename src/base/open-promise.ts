/** A promise that is settled from elsewhere. */
export type OpenPromise<T> = {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | Promise<T>) => void;
  readonly reject: (fault: Error) => void;
};

export function openPromise<T>(): OpenPromise<T> {
  let [resolve, reject]: [OpenPromise<T>['resolve'], OpenPromise<T>['reject']] = [() => {}, () => {}];
  const promise = new Promise<T>((done, failed) => {
    [resolve, reject] = [done, failed];
  });
  return { promise, resolve, reject };
}
